-- What is known about schedules: until when their ticks have been started.
CREATE TABLE schedule (
    brand      TEXT COLLATE "C" NOT NULL,
    name       TEXT COLLATE "C" NOT NULL,       -- as in brand.toml; hooks have names with a colon
    rule       TEXT NOT NULL,                   -- another rule begins anew
    last_tick  BIGINT NOT NULL,                 -- no tick until then is started any more
    last_job   TEXT COLLATE "C",                -- the id of the job of the last tick that was started
    job_tick   BIGINT,                          -- the tick of that job
    PRIMARY KEY (brand, name)
);
