-- A small database of schema version 5 as superbin made it in SQLite, with two signals, a scan, a finished and a failed point.
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
INSERT INTO "bin_ranges" VALUES(1,1,0,2.0,3.0);
INSERT INTO "bin_ranges" VALUES(1,1,1,300.0,500.0);
INSERT INTO "bin_ranges" VALUES(1,2,0,2.0,3.0);
INSERT INTO "bin_ranges" VALUES(1,2,1,500.0,NULL);
INSERT INTO "bin_ranges" VALUES(1,3,0,4.0,NULL);
INSERT INTO "bin_ranges" VALUES(1,3,1,300.0,500.0);
INSERT INTO "bin_ranges" VALUES(1,4,0,4.0,NULL);
INSERT INTO "bin_ranges" VALUES(1,4,1,500.0,NULL);
CREATE TABLE bins (
	search_id INTEGER NOT NULL, 
	number INTEGER NOT NULL CHECK (number >= 1), 
	PRIMARY KEY (search_id, number), 
	FOREIGN KEY(search_id) REFERENCES searches (id) ON DELETE CASCADE
);
INSERT INTO "bins" VALUES(1,1);
INSERT INTO "bins" VALUES(1,2);
INSERT INTO "bins" VALUES(1,3);
INSERT INTO "bins" VALUES(1,4);
CREATE TABLE bundle_files (
	search_id INTEGER NOT NULL, 
	name VARCHAR(255) NOT NULL, 
	digest VARCHAR(64) NOT NULL, 
	content BLOB NOT NULL, 
	PRIMARY KEY (search_id, name), 
	FOREIGN KEY(search_id) REFERENCES searches (id) ON DELETE CASCADE
);
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
INSERT INTO "estimates" VALUES(1,0,1,10.0,3.0,3.0,1.0,1.0);
INSERT INTO "estimates" VALUES(1,0,2,5.0,2.0,2.0,1.0,0.5);
INSERT INTO "estimates" VALUES(1,0,3,2.0,1.0,1.0,0.5,0.2);
INSERT INTO "estimates" VALUES(1,0,4,0.0,0.5,0.0,0.0,0.0);
INSERT INTO "estimates" VALUES(1,1,1,6.0,4.0,4.0,2.0,2.0);
INSERT INTO "estimates" VALUES(1,1,2,3.0,1.0,1.0,0.5,0.5);
INSERT INTO "estimates" VALUES(1,1,3,1.0,1.0,1.0,0.0,0.0);
INSERT INTO "estimates" VALUES(1,1,4,0.0,0.5,0.0,0.0,0.0);
INSERT INTO "estimates" VALUES(1,2,1,20.0,2.0,2.0,3.0,2.0);
INSERT INTO "estimates" VALUES(1,2,2,4.0,1.0,1.0,1.0,1.0);
INSERT INTO "estimates" VALUES(1,2,3,3.0,1.0,1.0,1.0,1.0);
INSERT INTO "estimates" VALUES(1,2,4,1.0,1.0,0.5,0.5,0.5);
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
INSERT INTO "observables" VALUES(1,0,'njet','$N_\mathrm{jet}$','',1);
INSERT INTO "observables" VALUES(1,1,'mht','MHT','GeV',0);
CREATE TABLE observations (
	search_id INTEGER NOT NULL, 
	bin INTEGER NOT NULL, 
	events DOUBLE NOT NULL CHECK (events >= 0 AND events = ROUND(events)), 
	PRIMARY KEY (search_id, bin), 
	FOREIGN KEY(search_id, bin) REFERENCES bins (search_id, number) ON DELETE CASCADE
);
INSERT INTO "observations" VALUES(1,1,40.0);
INSERT INTO "observations" VALUES(1,2,10.0);
INSERT INTO "observations" VALUES(1,3,8.0);
INSERT INTO "observations" VALUES(1,4,2.0);
CREATE TABLE processes (
	search_id INTEGER NOT NULL, 
	position INTEGER NOT NULL, 
	name VARCHAR(255) NOT NULL, 
	label TEXT NOT NULL, 
	PRIMARY KEY (search_id, position), 
	UNIQUE (search_id, name), 
	FOREIGN KEY(search_id) REFERENCES searches (id) ON DELETE CASCADE
);
INSERT INTO "processes" VALUES(1,0,'a','A');
INSERT INTO "processes" VALUES(1,1,'b','B');
INSERT INTO "processes" VALUES(1,2,'c','C');
CREATE TABLE provenance (
	id INTEGER NOT NULL, 
	origin VARCHAR(8) NOT NULL CHECK (origin IN ('packaged', 'imported')), 
	source TEXT NOT NULL, 
	digest VARCHAR(64) NOT NULL, 
	superbin_version VARCHAR(64) NOT NULL, 
	imported_utc DATETIME NOT NULL, 
	record_digest VARCHAR(64) DEFAULT '' NOT NULL, 
	PRIMARY KEY (id)
);
INSERT INTO "provenance" VALUES(1,'imported','made up','cb26aa4cd2103ade7db14a5ac4e999332eb813d891ab40043ac7c813b31161b4','0.1.0','2026-11-28 06:31:26.000000','5eae67ef6480aa0493534eb01339071fbb8e61454e584ec681462f3872dcdf27');
INSERT INTO "provenance" VALUES(2,'imported','é','e10eaedc891be7533f61564d9d69185261448c27cdeace6d584e8b79f01f8e68','0.1.0','2026-11-28 06:31:26.000000','28d045068d181b5cc173ee336654d6f21b5a73bc1f86a88dd8d14b9d381f5da4');
INSERT INTO "provenance" VALUES(3,'imported','made up','3404c7da59750b59b09e417f10d9f4d490cfc71330dd84b7ebe71ae6d2a5bdcb','0.1.0','2026-11-28 06:31:26.000000','bb538c793abbef195817dc7402ba1c4da346770db2b89e9dfe48d4c4249230b2');
CREATE TABLE scan_parameters (
	scan_id INTEGER NOT NULL, 
	position INTEGER NOT NULL, 
	name VARCHAR(255) NOT NULL, 
	PRIMARY KEY (scan_id, position), 
	UNIQUE (scan_id, name), 
	FOREIGN KEY(scan_id) REFERENCES scans (id) ON DELETE CASCADE
);
INSERT INTO "scan_parameters" VALUES(1,0,'m_mother');
INSERT INTO "scan_parameters" VALUES(1,1,'m_lsp');
CREATE TABLE scan_points (
	scan_id INTEGER NOT NULL, 
	signal_digest VARCHAR(64) NOT NULL, 
	point VARCHAR(500) NOT NULL, 
	cross_section_pb DOUBLE CHECK (cross_section_pb > 0), 
	cross_section_error DOUBLE CHECK (cross_section_error >= 0), 
	status VARCHAR(8) NOT NULL, 
	reason TEXT, 
	result TEXT, 
	seconds DOUBLE NOT NULL CHECK (seconds >= 0), 
	finished_utc DATETIME NOT NULL, 
	record_digest VARCHAR(64) DEFAULT '' NOT NULL, 
	PRIMARY KEY (scan_id, signal_digest), 
	CHECK ((status = 'done' AND result IS NOT NULL AND reason IS NULL) OR (status = 'failed' AND result IS NULL AND reason IS NOT NULL)), 
	FOREIGN KEY(scan_id) REFERENCES scans (id) ON DELETE CASCADE
);
INSERT INTO "scan_points" VALUES(1,'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa','1000.1,100.0',9.99988867182683e-321,0.27,'done',NULL,'{"bins": [1, 3], "cuts": ["$N_\\mathrm{jet}$ ≥ 4"], "merge_status": "best found", "yields": {"bins": [1, 3], "signal": 3.0, "signal_error": 0.223606797749979, "background": {"nominal": 42.0, "up": 8.558621384311845, "down": 8.248636250920512}, "processes": [{"name": "a", "label": "A", "stat_group": "a_b", "nominal": 12.0, "stat_up": 3.159292970819848, "stat_down": 3.159292970819848, "syst_up": 1.118033988749895, "syst_down": 1.019803902718557}, {"name": "b", "label": "B", "stat_group": "a_b", "nominal": 7.0, "stat_up": 4.120816918460671, "stat_down": 4.120816918460671, "syst_up": 2.0, "syst_down": 2.0}, {"name": "c", "label": "C", "stat_group": "c", "nominal": 23.0, "stat_up": 2.23606797749979, "stat_down": 2.23606797749979, "syst_up": 3.1622776601683795, "syst_down": 2.23606797749979}], "observed": 48}, "expected": {"p": 0.30000000000000004, "z": 0.3333333333333333}, "observed": {"p": 5e-324, "z": null}, "limit": {"observed": 0.1, "low2": 0.2, "low1": 0.3, "median": 0.14285714285714285, "high1": 1e+300, "high2": 5e-324, "status": "exact"}, "likelihood_limit": {"observed": null, "low2": null, "low1": null, "median": null, "high1": null, "high2": null, "status": "fit of mu: no-descent"}, "published": null}',0.25,'2026-11-28 06:31:26.000000','6626bf37ed791890cf971767d171308c7703b2f8aa800aadf2940d2de8686637');
INSERT INTO "scan_points" VALUES(1,'bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb','2000.0,0.0',NULL,NULL,'failed','outside of the hull, ''quoted'' – and more',NULL,0.0,'2026-11-28 06:31:26.000000','fe7cf045dfe5294026a1ff95bf57eb765aefd79da590e4f152c3e556f293469d');
CREATE TABLE scans (
	id INTEGER NOT NULL, 
	search_id INTEGER NOT NULL, 
	digest VARCHAR(64) NOT NULL, 
	search_digest VARCHAR(64) NOT NULL, 
	model VARCHAR(255) NOT NULL, 
	options TEXT NOT NULL, 
	superbin_version VARCHAR(64) NOT NULL, 
	started_utc DATETIME NOT NULL, 
	n_done INTEGER DEFAULT 0 NOT NULL, 
	n_failed INTEGER DEFAULT 0 NOT NULL, 
	record_digest VARCHAR(64) DEFAULT '' NOT NULL, 
	PRIMARY KEY (id), 
	FOREIGN KEY(search_id) REFERENCES searches (id) ON DELETE CASCADE, 
	UNIQUE (digest)
);
INSERT INTO "scans" VALUES(1,1,'cc3bd15460b4417609309fea8a022dc30c5643ecc81c7eb3bc0251e405929631','cb26aa4cd2103ade7db14a5ac4e999332eb813d891ab40043ac7c813b31161b4','T0','{"correlations": "none", "level": 0.95}','0.1.0','2026-11-28 06:31:26.000000',1,1,'bbe099d73f5875cc1c6b4d1d1d6fc2a29e0e33c7f13aeac69e7d3b78174a36da');
CREATE TABLE searches (
	id INTEGER NOT NULL, 
	name VARCHAR(255) NOT NULL, 
	title TEXT NOT NULL, 
	reference TEXT NOT NULL, 
	luminosity_fb DOUBLE NOT NULL CHECK (luminosity_fb > 0), 
	sqrt_s_tev DOUBLE NOT NULL CHECK (sqrt_s_tev > 0), 
	provenance_id INTEGER NOT NULL, 
	n_signals INTEGER DEFAULT 0 NOT NULL, 
	n_scans INTEGER DEFAULT 0 NOT NULL, 
	PRIMARY KEY (id), 
	UNIQUE (name), 
	UNIQUE (provenance_id), 
	FOREIGN KEY(provenance_id) REFERENCES provenance (id) ON DELETE CASCADE
);
INSERT INTO "searches" VALUES(1,'small','A small search','arXiv:0000.00000',10.0,13.0,1,2,1);
CREATE TABLE shared_stat_groups (
	search_id INTEGER NOT NULL, 
	position INTEGER NOT NULL, 
	PRIMARY KEY (search_id, position), 
	FOREIGN KEY(search_id) REFERENCES searches (id) ON DELETE CASCADE
);
INSERT INTO "shared_stat_groups" VALUES(1,0);
CREATE TABLE shared_stat_members (
	search_id INTEGER NOT NULL, 
	stat_group INTEGER NOT NULL, 
	position INTEGER NOT NULL, 
	process INTEGER NOT NULL, 
	PRIMARY KEY (search_id, stat_group, position), 
	FOREIGN KEY(search_id, stat_group) REFERENCES shared_stat_groups (search_id, position) ON DELETE CASCADE, 
	FOREIGN KEY(search_id, process) REFERENCES processes (search_id, position) ON DELETE CASCADE
);
INSERT INTO "shared_stat_members" VALUES(1,0,0,0);
INSERT INTO "shared_stat_members" VALUES(1,0,1,1);
CREATE TABLE signal_parameters (
	signal_id INTEGER NOT NULL, 
	position INTEGER NOT NULL, 
	name VARCHAR(255) NOT NULL, 
	value DOUBLE NOT NULL, 
	PRIMARY KEY (signal_id, position), 
	UNIQUE (signal_id, name), 
	FOREIGN KEY(signal_id) REFERENCES signals (id) ON DELETE CASCADE
);
INSERT INTO "signal_parameters" VALUES(2,0,'m_mother',1000.0);
INSERT INTO "signal_parameters" VALUES(2,1,'m_lsp',100.0);
CREATE TABLE signal_variation_yields (
	signal_id INTEGER NOT NULL, 
	variation INTEGER NOT NULL, 
	bin INTEGER NOT NULL, 
	events_up DOUBLE NOT NULL CHECK (events_up >= 0), 
	events_down DOUBLE NOT NULL CHECK (events_down >= 0), 
	PRIMARY KEY (signal_id, variation, bin), 
	FOREIGN KEY(signal_id, variation) REFERENCES signal_variations (signal_id, position) ON DELETE CASCADE, 
	FOREIGN KEY(signal_id, bin) REFERENCES signal_yields (signal_id, bin) ON DELETE CASCADE
);
CREATE TABLE signal_variations (
	signal_id INTEGER NOT NULL, 
	position INTEGER NOT NULL, 
	name VARCHAR(255) NOT NULL, 
	PRIMARY KEY (signal_id, position), 
	UNIQUE (signal_id, name), 
	FOREIGN KEY(signal_id) REFERENCES signals (id) ON DELETE CASCADE
);
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
INSERT INTO "signal_yields" VALUES(1,1,1,0.1,0.0);
INSERT INTO "signal_yields" VALUES(1,2,1,0.2,0.0);
INSERT INTO "signal_yields" VALUES(1,3,1,0.3,0.0);
INSERT INTO "signal_yields" VALUES(1,4,1,3.33333333333333314829e-01,0.0);
INSERT INTO "signal_yields" VALUES(2,1,1,1.0,0.1);
INSERT INTO "signal_yields" VALUES(2,2,1,2.0,0.2);
INSERT INTO "signal_yields" VALUES(2,3,1,2.0,0.2);
INSERT INTO "signal_yields" VALUES(2,4,1,3.0,0.3);
CREATE TABLE signals (
	id INTEGER NOT NULL, 
	search_id INTEGER NOT NULL, 
	model VARCHAR(255) NOT NULL, 
	point VARCHAR(500) NOT NULL, 
	cross_section_pb DOUBLE CHECK (cross_section_pb > 0), 
	provenance_id INTEGER NOT NULL, relative_error DOUBLE DEFAULT 0 NOT NULL CHECK (relative_error >= 0), 
	PRIMARY KEY (id), 
	UNIQUE (search_id, model, point), 
	UNIQUE (id, search_id), 
	FOREIGN KEY(search_id) REFERENCES searches (id) ON DELETE CASCADE, 
	UNIQUE (provenance_id), 
	FOREIGN KEY(provenance_id) REFERENCES provenance (id) ON DELETE CASCADE
);
INSERT INTO "signals" VALUES(1,1,'SM4','',0.1,2,0.0);
INSERT INTO "signals" VALUES(2,1,'T0','1000.0,100.0',NULL,3,0.0);
CREATE TABLE superbin (
	id INTEGER NOT NULL CHECK (id = 1), 
	schema_version INTEGER NOT NULL, 
	packaged_digest VARCHAR(64), 
	n_searches INTEGER DEFAULT 0 NOT NULL, 
	PRIMARY KEY (id)
);
INSERT INTO "superbin" VALUES(1,5,NULL,1);
