-- One row per arrival, from the moment on at which it is known. The timetable has local times: the time in the air and
-- on the ground is how far the clock of the destination went from the departure to the arrival.
SELECT
  tailnum, carrier, origin, arr_delay,
  departed + to_minutes((arr_time // 100 * 60 + arr_time % 100 - hour(there) * 60 - minute(there) + 2880) % 1440) AS arrived
FROM (
  SELECT
    f.tailnum, f.carrier, f.origin, f.arr_delay, CAST(f.arr_time AS BIGINT) AS arr_time,
    f.time_hour + to_minutes(CAST(f.minute + f.dep_delay AS BIGINT)) AS departed,
    -- The airports that the list lacks are all in the Caribbean.
    timezone(coalesce(a.tzone, 'America/Puerto_Rico'), departed) AS there
  FROM flights AS f
  LEFT JOIN airports AS a ON a.faa = f.dest
  WHERE f.arr_delay IS NOT NULL
)
