CREATE TABLE facts (
    name TEXT PRIMARY KEY,
    value TEXT NOT NULL
);

-- One row a content: what has the same bytes is scored once.
CREATE TABLE contents (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    sha256 TEXT NOT NULL UNIQUE,
    state TEXT NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'done', 'failed')),
    failures INTEGER NOT NULL DEFAULT 0,
    times_scored INTEGER NOT NULL DEFAULT 0,
    exit_code INTEGER,
    kind TEXT,
    status TEXT,
    verdict TEXT,
    fake_probability REAL,
    interval_low REAL,
    interval_high REAL,
    fake_threshold REAL,
    reasons TEXT,
    message TEXT,
    width INTEGER,
    height INTEGER,
    fps REAL,
    duration_s REAL,
    frames_scored INTEGER,
    people_judged INTEGER,
    total_s REAL,
    worker TEXT,
    page TEXT,
    finished_utc TEXT
);

CREATE TABLE people (
    content INTEGER NOT NULL REFERENCES contents (id),
    track INTEGER NOT NULL,
    first_s REAL NOT NULL,
    last_s REAL NOT NULL,
    verdict TEXT NOT NULL,
    fake_probability REAL,
    faces_used INTEGER NOT NULL,
    reasons TEXT NOT NULL,
    PRIMARY KEY (content, track)
) WITHOUT ROWID;

CREATE TABLE segments (
    content INTEGER NOT NULL REFERENCES contents (id),
    track INTEGER NOT NULL,
    start_s REAL NOT NULL,
    end_s REAL NOT NULL,
    fake_probability REAL NOT NULL,
    PRIMARY KEY (content, track, start_s)
) WITHOUT ROWID;

-- One row a name. A name that is not UTF-8 is stored as its bytes.
CREATE TABLE files (
    id INTEGER PRIMARY KEY,
    path NOT NULL UNIQUE,
    version TEXT NOT NULL,
    size_bytes INTEGER,
    state TEXT NOT NULL DEFAULT 'listed' CHECK (state IN ('listed', 'hashed', 'unreadable')),
    failures INTEGER NOT NULL DEFAULT 0,
    content INTEGER REFERENCES contents (id),
    exit_code INTEGER,
    message TEXT
);

CREATE INDEX files_of_content ON files (content);
CREATE INDEX files_to_hash ON files (id) WHERE state = 'listed';
CREATE INDEX contents_to_score ON contents (id) WHERE state = 'waiting';
CREATE INDEX contents_by_probability ON contents (fake_probability);

-- One row a file. exit_code is what tinydf-run would end with: 0 done, 5 not or only in part read.
CREATE VIEW results AS
SELECT
    files.path,
    contents.sha256,
    CASE
        WHEN files.state = 'unreadable' THEN 'failed'
        WHEN files.state = 'listed' THEN 'waiting'
        ELSE contents.state
    END AS state,
    CASE WHEN files.state = 'unreadable' THEN 5 ELSE contents.exit_code END AS exit_code,
    CASE WHEN files.state = 'unreadable' THEN 'error' ELSE contents.verdict END AS verdict,
    contents.fake_probability,
    contents.interval_low,
    contents.interval_high,
    contents.fake_threshold,
    CASE WHEN files.state = 'unreadable' THEN 'unreadable' ELSE contents.reasons END AS reasons,
    coalesce(files.message, contents.message) AS message,
    contents.kind,
    CASE WHEN files.state = 'unreadable' THEN 'unreadable' ELSE contents.status END AS status,
    contents.width,
    contents.height,
    contents.fps,
    contents.duration_s,
    contents.frames_scored,
    contents.people_judged,
    files.size_bytes,
    contents.total_s,
    contents.failures,
    contents.times_scored,
    contents.worker,
    contents.page,
    contents.finished_utc
FROM files LEFT JOIN contents ON contents.id = files.content;

CREATE VIEW verdicts AS
SELECT verdict, count(*) AS files, count(DISTINCT sha256) AS contents
FROM results WHERE verdict IS NOT NULL GROUP BY verdict ORDER BY files DESC;

CREATE VIEW errors AS
SELECT path, exit_code, status, message, failures FROM results WHERE exit_code <> 0;

CREATE VIEW duplicates AS
SELECT sha256, count(*) AS files, min(path) AS first_path
FROM results WHERE sha256 IS NOT NULL GROUP BY sha256 HAVING count(*) > 1;

-- Contents by fake probability, in twentieths.
CREATE VIEW histogram AS
SELECT min(19, CAST(fake_probability * 20 AS INTEGER)) / 20.0 AS from_probability, verdict, count(*) AS contents
FROM contents WHERE fake_probability IS NOT NULL GROUP BY 1, 2;

CREATE VIEW people_of_files AS
SELECT files.path, people.track, people.first_s, people.last_s, people.verdict, people.fake_probability,
    people.faces_used, people.reasons
FROM people JOIN files ON files.content = people.content;

CREATE VIEW forged_segments AS
SELECT files.path, segments.track, segments.start_s, segments.end_s, segments.fake_probability
FROM segments JOIN files ON files.content = segments.content;
