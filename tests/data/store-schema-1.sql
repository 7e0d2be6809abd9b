-- An empty database as superbin made it up to schema version 1, from specs/store.md of that time.
-- One row, written after the last table: it marks the database as superbin's, and says which packaged tables are in it.
CREATE TABLE superbin (
  id INTEGER NOT NULL CHECK (id = 1),
  schema_version INTEGER NOT NULL,
  packaged_digest VARCHAR(64),
  PRIMARY KEY (id)
);

-- Where every imported search and signal comes from, and what its content was.
CREATE TABLE provenance (
  id INTEGER NOT NULL,
  origin VARCHAR(8) NOT NULL CHECK (origin IN ('packaged', 'imported')),
  source TEXT NOT NULL,
  digest VARCHAR(64) NOT NULL,
  superbin_version VARCHAR(64) NOT NULL,
  imported_utc DATETIME NOT NULL,
  PRIMARY KEY (id)
);

-- A search, without what repeats.
CREATE TABLE searches (
  id INTEGER NOT NULL,
  name VARCHAR(255) NOT NULL,
  title TEXT NOT NULL,
  reference TEXT NOT NULL,
  luminosity_fb DOUBLE NOT NULL CHECK (luminosity_fb > 0),
  sqrt_s_tev DOUBLE NOT NULL CHECK (sqrt_s_tev > 0),
  provenance_id INTEGER NOT NULL,
  PRIMARY KEY (id),
  UNIQUE (name),
  UNIQUE (provenance_id),
  FOREIGN KEY(provenance_id) REFERENCES provenance (id) ON DELETE CASCADE
);

-- The axes of its bins.
CREATE TABLE observables (
  search_id INTEGER NOT NULL,
  position INTEGER NOT NULL,
  name VARCHAR(255) NOT NULL,
  label TEXT NOT NULL,
  unit VARCHAR(255) NOT NULL,
  discrete BOOLEAN NOT NULL,
  PRIMARY KEY (search_id, position),
  UNIQUE (search_id, name),
  FOREIGN KEY(search_id) REFERENCES searches (id) ON DELETE CASCADE
);

-- Its bins by published number: what all numbers per bin refer to. They outlive a replacement of the search.
CREATE TABLE bins (
  search_id INTEGER NOT NULL,
  number INTEGER NOT NULL CHECK (number >= 1),
  PRIMARY KEY (search_id, number),
  FOREIGN KEY(search_id) REFERENCES searches (id) ON DELETE CASCADE
);

-- A bin's range in each observable. A discrete range may be one value, so the edges may be equal here.
CREATE TABLE bin_ranges (
  search_id INTEGER NOT NULL,
  bin INTEGER NOT NULL,
  observable INTEGER NOT NULL,
  low DOUBLE NOT NULL CHECK (low >= 0),
  high DOUBLE,
  PRIMARY KEY (search_id, bin, observable),
  CHECK (high >= low),
  FOREIGN KEY(search_id, bin) REFERENCES bins (search_id, number) ON DELETE CASCADE,
  FOREIGN KEY(search_id, observable) REFERENCES observables (search_id, position) ON DELETE CASCADE
);

-- The observed count of every bin.
CREATE TABLE observations (
  search_id INTEGER NOT NULL,
  bin INTEGER NOT NULL,
  events DOUBLE NOT NULL CHECK (events >= 0 AND events = ROUND(events)),
  PRIMARY KEY (search_id, bin),
  FOREIGN KEY(search_id, bin) REFERENCES bins (search_id, number) ON DELETE CASCADE
);

-- Its backgrounds.
CREATE TABLE processes (
  search_id INTEGER NOT NULL,
  position INTEGER NOT NULL,
  name VARCHAR(255) NOT NULL,
  label TEXT NOT NULL,
  PRIMARY KEY (search_id, position),
  UNIQUE (search_id, name),
  FOREIGN KEY(search_id) REFERENCES searches (id) ON DELETE CASCADE
);

-- Prediction and uncertainties of a process in a bin, in events.
CREATE TABLE estimates (
  search_id INTEGER NOT NULL,
  process INTEGER NOT NULL,
  bin INTEGER NOT NULL,
  nominal DOUBLE NOT NULL CHECK (nominal >= 0),
  stat_up DOUBLE NOT NULL CHECK (stat_up >= 0),
  stat_down DOUBLE NOT NULL CHECK (stat_down >= 0),
  syst_up DOUBLE NOT NULL CHECK (syst_up >= 0),
  syst_down DOUBLE NOT NULL CHECK (syst_down >= 0),
  PRIMARY KEY (search_id, process, bin),
  FOREIGN KEY(search_id, process) REFERENCES processes (search_id, position) ON DELETE CASCADE,
  FOREIGN KEY(search_id, bin) REFERENCES bins (search_id, number) ON DELETE CASCADE
);

-- Groups of processes that share their statistics; a group is a row so that order and emptiness are kept.
CREATE TABLE shared_stat_groups (
  search_id INTEGER NOT NULL,
  position INTEGER NOT NULL,
  PRIMARY KEY (search_id, position),
  FOREIGN KEY(search_id) REFERENCES searches (id) ON DELETE CASCADE
);

-- The processes in a group.
CREATE TABLE shared_stat_members (
  search_id INTEGER NOT NULL,
  stat_group INTEGER NOT NULL,
  position INTEGER NOT NULL,
  process INTEGER NOT NULL,
  PRIMARY KEY (search_id, stat_group, position),
  FOREIGN KEY(search_id, stat_group) REFERENCES shared_stat_groups (search_id, position) ON DELETE CASCADE,
  FOREIGN KEY(search_id, process) REFERENCES processes (search_id, position) ON DELETE CASCADE
);

-- A point of a signal model in the bins of a search.
CREATE TABLE signals (
  id INTEGER NOT NULL,
  search_id INTEGER NOT NULL,
  model VARCHAR(255) NOT NULL,
  point VARCHAR(500) NOT NULL,
  cross_section_pb DOUBLE CHECK (cross_section_pb > 0),
  provenance_id INTEGER NOT NULL,
  PRIMARY KEY (id),
  UNIQUE (search_id, model, point),
  UNIQUE (id, search_id),
  FOREIGN KEY(search_id) REFERENCES searches (id) ON DELETE CASCADE,
  UNIQUE (provenance_id),
  FOREIGN KEY(provenance_id) REFERENCES provenance (id) ON DELETE CASCADE
);

-- Its parameters, in the order the command line takes them.
CREATE TABLE signal_parameters (
  signal_id INTEGER NOT NULL,
  position INTEGER NOT NULL,
  name VARCHAR(255) NOT NULL,
  value DOUBLE NOT NULL,
  PRIMARY KEY (signal_id, position),
  UNIQUE (signal_id, name),
  FOREIGN KEY(signal_id) REFERENCES signals (id) ON DELETE CASCADE
);

-- Expected events and their Monte Carlo error in every bin; search_id ties the bin to the signal's own search.
CREATE TABLE signal_yields (
  signal_id INTEGER NOT NULL,
  bin INTEGER NOT NULL,
  search_id INTEGER NOT NULL,
  events DOUBLE NOT NULL CHECK (events >= 0),
  error DOUBLE NOT NULL CHECK (error >= 0),
  PRIMARY KEY (signal_id, bin),
  FOREIGN KEY(signal_id, search_id) REFERENCES signals (id, search_id) ON DELETE CASCADE,
  FOREIGN KEY(search_id, bin) REFERENCES bins (search_id, number) ON DELETE CASCADE
);
INSERT INTO superbin (id, schema_version) VALUES (1, 1);
