-- Schedules of the companion pg_cron in PL/pgSQL: the language of src/core/cron_schedule.h.
CREATE FUNCTION mentalspace.cron_due(schedule text, after timestamp, until timestamp) RETURNS boolean
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE STRICT SET search_path = pg_catalog, pg_temp
    AS $$
DECLARE
    words text[] := regexp_split_to_array(btrim(schedule COLLATE "C", E' \t\r\n'), E'[ \t\r\n]+');
    field_names CONSTANT text[] := '{minute,hour,day-of-month,month,day-of-week}';
    lows CONSTANT int[] := '{0,0,1,1,0}';
    highs CONSTANT int[] := '{59,23,31,12,7}';
    months CONSTANT text[] := '{jan,feb,mar,apr,may,jun,jul,aug,sep,oct,nov,dec}';
    weekdays CONSTANT text[] := '{sun,mon,tue,wed,thu,fri,sat}';
    minutes int[]; hours int[]; days int[]; months_of_year int[]; days_of_week int[];
    bits int[];
    item text; part text[];
    low int; high int; first int; last int; step int;
    last_day boolean := false;
    of_month boolean; of_week boolean;
    problem text;
    day date;
BEGIN
    words[1] := CASE lower(words[1])
        WHEN '@yearly' THEN '0 0 1 1 *' WHEN '@annually' THEN '0 0 1 1 *' WHEN '@monthly' THEN '0 0 1 * *'
        WHEN '@weekly' THEN '0 0 * * 0' WHEN '@daily' THEN '0 0 * * *' WHEN '@midnight' THEN '0 0 * * *'
        WHEN '@hourly' THEN '0 * * * *' ELSE words[1] END;
    IF cardinality(words) = 1 AND words[1] LIKE '% %' THEN
        words := string_to_array(words[1], ' ');
    END IF;
    IF cardinality(words) = 2 AND lower(words[2]) IN ('seconds', 'second') THEN
        IF words[1] !~ '^[0-9]{1,3}$' THEN
            problem := 'The number of seconds must be between 1 and 59.';
        ELSIF words[1]::int NOT BETWEEN 1 AND 59 THEN
            problem := 'The number of seconds must be between 1 and 59.';
        END IF;
        step := CASE WHEN problem IS NULL THEN words[1]::int END;
    ELSIF words[1] LIKE '@%' OR words[1] LIKE '% %' THEN
        problem := 'The word is not one of @yearly, @annually, @monthly, @weekly, @daily, @midnight, @hourly.';
    ELSIF cardinality(words) <> 5 THEN
        problem := 'A schedule has five fields: minute, hour, day of the month, month, day of the week.';
    ELSE
        <<fields>>
        FOR i IN 1 .. 5 LOOP
            low := lows[i];
            high := highs[i];
            bits := '{}';
            FOREACH item IN ARRAY string_to_array(lower(words[i]), ',') LOOP
                IF i = 3 AND item = '$' THEN
                    last_day := true;
                    CONTINUE;
                END IF;
                -- *, n or n-m, and a step; a name stands for a number
                part := regexp_match(item, '^(?:(\*)|([0-9]{1,3}|[a-z]{3})(?:-([0-9]{1,3}|[a-z]{3}))?)(?:/([0-9]{1,3}))?$');
                first := CASE WHEN part[1] = '*' THEN low WHEN part[2] ~ '^[0-9]' THEN part[2]::int
                    WHEN i = 4 THEN array_position(months, part[2])
                    WHEN i = 5 THEN array_position(weekdays, part[2]) - 1 END;
                last := CASE WHEN part[1] = '*' THEN high WHEN part[3] IS NULL THEN first WHEN part[3] ~ '^[0-9]' THEN part[3]::int
                    WHEN i = 4 THEN array_position(months, part[3])
                    WHEN i = 5 THEN array_position(weekdays, part[3]) - 1 END;
                step := coalesce(part[4]::int, 1);
                IF first >= low AND last <= high AND first <= last AND step > 0
                    AND (part[4] IS NULL OR part[1] = '*' OR part[3] IS NOT NULL) THEN
                    bits := bits || ARRAY(SELECT generate_series(first, last, step));
                ELSE
                    problem := format('The %s field is not valid.', field_names[i]);
                    EXIT fields;
                END IF;
            END LOOP;
            CASE i
                WHEN 1 THEN minutes := bits;
                WHEN 2 THEN hours := bits;
                WHEN 3 THEN days := bits;
                WHEN 4 THEN months_of_year := bits;
                ELSE days_of_week := bits;
            END CASE;
        END LOOP;
        step := NULL;
    END IF;
    IF problem IS NOT NULL THEN
        RAISE EXCEPTION 'invalid schedule: "%"', schedule
            USING ERRCODE = 'invalid_parameter_value', DETAIL = problem,
                  HINT = 'Write five fields as in "30 4 * * mon-fri", a word like @daily, or "N seconds" with N from 1 to 59.';
    END IF;
    IF NOT (isfinite(after) AND isfinite(until)) THEN
        RAISE EXCEPTION 'timestamp out of range' USING ERRCODE = 'datetime_field_overflow';
    END IF;
    IF until <= after THEN
        RETURN false;
    END IF;
    IF until - after > interval '366 days' THEN
        RAISE EXCEPTION 'the time span is longer than a year' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF step IS NOT NULL THEN
        RETURN floor(extract(epoch FROM until) / step) > floor(extract(epoch FROM after) / step);
    END IF;

    FOR day IN SELECT generate_series(after::date, until::date, interval '1 day') LOOP
        CONTINUE WHEN extract(month FROM day)::int <> ALL (months_of_year);
        of_month := extract(day FROM day)::int = ANY (days) OR last_day AND extract(month FROM day + 1) <> extract(month FROM day);
        of_week := extract(dow FROM day)::int = ANY (days_of_week) OR extract(isodow FROM day)::int = ANY (days_of_week);
        -- Both kinds of day restricted: either is enough.
        CONTINUE WHEN NOT CASE WHEN words[3] LIKE '*%' OR words[5] LIKE '*%' THEN of_month AND of_week ELSE of_month OR of_week END;
        IF EXISTS (SELECT FROM unnest(hours) AS h, unnest(minutes) AS m,
                               LATERAL (SELECT day + make_interval(hours => h, mins => m)) AS t(at)
                    WHERE t.at > after AND t.at <= until) THEN
            RETURN true;
        END IF;
    END LOOP;
    RETURN false;
END
$$;
CREATE FUNCTION mentalspace.cron_worker_running() RETURNS boolean
    LANGUAGE sql VOLATILE PARALLEL RESTRICTED STRICT SET search_path = pg_catalog, pg_temp
    AS $$ SELECT false $$;
