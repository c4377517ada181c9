-- One row per departure: the flight, the weather of its hour, its plane, and where it goes.
SELECT
  concat_ws('-', strftime(make_date(f.year, f.month, f.day), '%Y%m%d'), f.carrier, f.flight, f.origin, f.sched_dep_time) AS flight_id,
  -- The moment at which the question is asked: the delay at departure is known by then.
  f.time_hour + to_minutes(CAST(f.minute + f.dep_delay AS BIGINT)) AS departure,
  f.arr_delay >= 15 AS late,
  f.dep_delay,
  make_timestamp(f.year, f.month, f.day, f.hour, f.minute, 0) AS scheduled_local,
  f.carrier,
  f.tailnum,
  f.origin,
  f.dest,
  f.distance,
  -- Minutes that the timetable gives; across midnight and time zones it is only a hint, which is what a model is for.
  (f.sched_arr_time // 100 * 60 + f.sched_arr_time % 100) - (f.hour * 60 + f.minute) AS timetable_minutes,
  w.temp, w.dewp, w.humid, w.wind_dir, w.wind_speed, w.wind_gust, w.precip, w.pressure, w.visib,
  2013 - p.year AS plane_age, p.seats, p.engines, p.manufacturer, p.type AS plane_type,
  a.lat AS dest_lat, a.lon AS dest_lon, a.alt AS dest_alt
FROM flights AS f
LEFT JOIN (
  SELECT * FROM weather
  QUALIFY row_number() OVER (PARTITION BY origin, time_hour ORDER BY year, month, day, hour) = 1
) AS w USING (origin, time_hour)
LEFT JOIN planes AS p USING (tailnum)
LEFT JOIN airports AS a ON a.faa = f.dest
