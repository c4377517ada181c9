-- The rows are in date order but have no year: it goes up whenever the month falls back.
WITH numbered AS (
  SELECT
    *,
    list_position(['jan','feb','mar','apr','may','jun','jul','aug','sep','oct','nov','dec'], month) AS month_number
  FROM bank
),
dated AS (
  SELECT
    *,
    2008 + sum(CASE WHEN month_number < previous_month THEN 1 ELSE 0 END) OVER (ORDER BY call) AS year
  FROM (SELECT *, lag(month_number, 1, month_number) OVER (ORDER BY call) AS previous_month FROM numbered)
)
SELECT
  make_date(year::BIGINT, month_number, day) AS called_on,
  call, age, job, marital, education, "default" AS in_default, balance, housing, loan, contact, day,
  month, campaign, pdays, previous, poutcome, y AS subscribed
FROM dated
