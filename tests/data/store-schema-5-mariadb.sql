-- A small database of schema version 5 as superbin made it in MariaDB, with two signals, a scan, a finished and a failed point.
SET FOREIGN_KEY_CHECKS = 0;
CREATE TABLE `bin_ranges` (
  `search_id` int(11) NOT NULL,
  `bin` int(11) NOT NULL,
  `observable` int(11) NOT NULL,
  `low` double NOT NULL CHECK (`low` >= 0),
  `high` double DEFAULT NULL,
  PRIMARY KEY (`search_id`,`bin`,`observable`),
  KEY `search_id` (`search_id`,`observable`),
  CONSTRAINT `bin_ranges_ibfk_1` FOREIGN KEY (`search_id`, `bin`) REFERENCES `bins` (`search_id`, `number`) ON DELETE CASCADE,
  CONSTRAINT `bin_ranges_ibfk_2` FOREIGN KEY (`search_id`, `observable`) REFERENCES `observables` (`search_id`, `position`) ON DELETE CASCADE,
  CONSTRAINT `CONSTRAINT_1` CHECK (`high` >= `low`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
INSERT INTO `bin_ranges` VALUES (1,1,0,2,3);
INSERT INTO `bin_ranges` VALUES (1,1,1,300,500);
INSERT INTO `bin_ranges` VALUES (1,2,0,2,3);
INSERT INTO `bin_ranges` VALUES (1,2,1,500,NULL);
INSERT INTO `bin_ranges` VALUES (1,3,0,4,NULL);
INSERT INTO `bin_ranges` VALUES (1,3,1,300,500);
INSERT INTO `bin_ranges` VALUES (1,4,0,4,NULL);
INSERT INTO `bin_ranges` VALUES (1,4,1,500,NULL);
CREATE TABLE `bins` (
  `search_id` int(11) NOT NULL,
  `number` int(11) NOT NULL CHECK (`number` >= 1),
  PRIMARY KEY (`search_id`,`number`),
  CONSTRAINT `bins_ibfk_1` FOREIGN KEY (`search_id`) REFERENCES `searches` (`id`) ON DELETE CASCADE
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
INSERT INTO `bins` VALUES (1,1);
INSERT INTO `bins` VALUES (1,2);
INSERT INTO `bins` VALUES (1,3);
INSERT INTO `bins` VALUES (1,4);
CREATE TABLE `bundle_files` (
  `search_id` int(11) NOT NULL,
  `name` varchar(255) NOT NULL,
  `digest` varchar(64) NOT NULL,
  `content` longblob NOT NULL,
  PRIMARY KEY (`search_id`,`name`),
  CONSTRAINT `bundle_files_ibfk_1` FOREIGN KEY (`search_id`) REFERENCES `searches` (`id`) ON DELETE CASCADE
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
CREATE TABLE `estimates` (
  `search_id` int(11) NOT NULL,
  `process` int(11) NOT NULL,
  `bin` int(11) NOT NULL,
  `nominal` double NOT NULL CHECK (`nominal` >= 0),
  `stat_up` double NOT NULL CHECK (`stat_up` >= 0),
  `stat_down` double NOT NULL CHECK (`stat_down` >= 0),
  `syst_up` double NOT NULL CHECK (`syst_up` >= 0),
  `syst_down` double NOT NULL CHECK (`syst_down` >= 0),
  PRIMARY KEY (`search_id`,`process`,`bin`),
  KEY `search_id` (`search_id`,`bin`),
  CONSTRAINT `estimates_ibfk_1` FOREIGN KEY (`search_id`, `process`) REFERENCES `processes` (`search_id`, `position`) ON DELETE CASCADE,
  CONSTRAINT `estimates_ibfk_2` FOREIGN KEY (`search_id`, `bin`) REFERENCES `bins` (`search_id`, `number`) ON DELETE CASCADE
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
INSERT INTO `estimates` VALUES (1,0,1,10,3,3,1,1);
INSERT INTO `estimates` VALUES (1,0,2,5,2,2,1,0.5);
INSERT INTO `estimates` VALUES (1,0,3,2,1,1,0.5,0.2);
INSERT INTO `estimates` VALUES (1,0,4,0,0.5,0,0,0);
INSERT INTO `estimates` VALUES (1,1,1,6,4,4,2,2);
INSERT INTO `estimates` VALUES (1,1,2,3,1,1,0.5,0.5);
INSERT INTO `estimates` VALUES (1,1,3,1,1,1,0,0);
INSERT INTO `estimates` VALUES (1,1,4,0,0.5,0,0,0);
INSERT INTO `estimates` VALUES (1,2,1,20,2,2,3,2);
INSERT INTO `estimates` VALUES (1,2,2,4,1,1,1,1);
INSERT INTO `estimates` VALUES (1,2,3,3,1,1,1,1);
INSERT INTO `estimates` VALUES (1,2,4,1,1,0.5,0.5,0.5);
CREATE TABLE `observables` (
  `search_id` int(11) NOT NULL,
  `position` int(11) NOT NULL,
  `name` varchar(255) NOT NULL,
  `label` text NOT NULL,
  `unit` varchar(255) NOT NULL,
  `discrete` tinyint(1) NOT NULL,
  PRIMARY KEY (`search_id`,`position`),
  UNIQUE KEY `search_id` (`search_id`,`name`),
  CONSTRAINT `observables_ibfk_1` FOREIGN KEY (`search_id`) REFERENCES `searches` (`id`) ON DELETE CASCADE
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
INSERT INTO `observables` VALUES (1,0,'njet','$N_\\mathrm{jet}$','',1);
INSERT INTO `observables` VALUES (1,1,'mht','MHT','GeV',0);
CREATE TABLE `observations` (
  `search_id` int(11) NOT NULL,
  `bin` int(11) NOT NULL,
  `events` double NOT NULL CHECK (`events` >= 0 and `events` = round(`events`,0)),
  PRIMARY KEY (`search_id`,`bin`),
  CONSTRAINT `observations_ibfk_1` FOREIGN KEY (`search_id`, `bin`) REFERENCES `bins` (`search_id`, `number`) ON DELETE CASCADE
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
INSERT INTO `observations` VALUES (1,1,40);
INSERT INTO `observations` VALUES (1,2,10);
INSERT INTO `observations` VALUES (1,3,8);
INSERT INTO `observations` VALUES (1,4,2);
CREATE TABLE `processes` (
  `search_id` int(11) NOT NULL,
  `position` int(11) NOT NULL,
  `name` varchar(255) NOT NULL,
  `label` text NOT NULL,
  PRIMARY KEY (`search_id`,`position`),
  UNIQUE KEY `search_id` (`search_id`,`name`),
  CONSTRAINT `processes_ibfk_1` FOREIGN KEY (`search_id`) REFERENCES `searches` (`id`) ON DELETE CASCADE
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
INSERT INTO `processes` VALUES (1,0,'a','A');
INSERT INTO `processes` VALUES (1,1,'b','B');
INSERT INTO `processes` VALUES (1,2,'c','C');
CREATE TABLE `provenance` (
  `id` int(11) NOT NULL AUTO_INCREMENT,
  `origin` varchar(8) NOT NULL CHECK (`origin` in ('packaged','imported')),
  `source` text NOT NULL,
  `digest` varchar(64) NOT NULL,
  `superbin_version` varchar(64) NOT NULL,
  `imported_utc` datetime NOT NULL,
  `record_digest` varchar(64) NOT NULL DEFAULT '',
  PRIMARY KEY (`id`)
) ENGINE=InnoDB AUTO_INCREMENT=4 DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
INSERT INTO `provenance` VALUES (1,'imported','made up','cb26aa4cd2103ade7db14a5ac4e999332eb813d891ab40043ac7c813b31161b4','0.1.0','2026-11-28 06:31:44','248bf1d9e83e27ddcbf9f9374cb849c7cbe45dffaddf134b8037f875daab861e');
INSERT INTO `provenance` VALUES (2,'imported','é','e10eaedc891be7533f61564d9d69185261448c27cdeace6d584e8b79f01f8e68','0.1.0','2026-11-28 06:31:44','e2b8efb531159844a7d4971dabbc32d593b536240585b2c9bde850c8b33130e9');
INSERT INTO `provenance` VALUES (3,'imported','made up','3404c7da59750b59b09e417f10d9f4d490cfc71330dd84b7ebe71ae6d2a5bdcb','0.1.0','2026-11-28 06:31:44','85c131899f5a7da25c76220514f891b5562762c0796447a570795e686d482247');
CREATE TABLE `scan_parameters` (
  `scan_id` int(11) NOT NULL,
  `position` int(11) NOT NULL,
  `name` varchar(255) NOT NULL,
  PRIMARY KEY (`scan_id`,`position`),
  UNIQUE KEY `scan_id` (`scan_id`,`name`),
  CONSTRAINT `scan_parameters_ibfk_1` FOREIGN KEY (`scan_id`) REFERENCES `scans` (`id`) ON DELETE CASCADE
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
INSERT INTO `scan_parameters` VALUES (1,1,'m_lsp');
INSERT INTO `scan_parameters` VALUES (1,0,'m_mother');
CREATE TABLE `scan_points` (
  `scan_id` int(11) NOT NULL,
  `signal_digest` varchar(64) NOT NULL,
  `point` varchar(500) NOT NULL,
  `cross_section_pb` double DEFAULT NULL CHECK (`cross_section_pb` > 0),
  `cross_section_error` double DEFAULT NULL CHECK (`cross_section_error` >= 0),
  `status` varchar(8) NOT NULL,
  `reason` text DEFAULT NULL,
  `result` mediumtext DEFAULT NULL,
  `seconds` double NOT NULL CHECK (`seconds` >= 0),
  `finished_utc` datetime NOT NULL,
  `record_digest` varchar(64) NOT NULL DEFAULT '',
  PRIMARY KEY (`scan_id`,`signal_digest`),
  CONSTRAINT `scan_points_ibfk_1` FOREIGN KEY (`scan_id`) REFERENCES `scans` (`id`) ON DELETE CASCADE,
  CONSTRAINT `CONSTRAINT_1` CHECK (`status` = 'done' and `result` is not null and `reason` is null or `status` = 'failed' and `result` is null and `reason` is not null)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
INSERT INTO `scan_points` VALUES (1,'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa','1000.1,100.0',1e-320,0.27,'done',NULL,'{\"bins\": [1, 3], \"cuts\": [\"$N_\\\\mathrm{jet}$ ≥ 4\"], \"merge_status\": \"best found\", \"yields\": {\"bins\": [1, 3], \"signal\": 3.0, \"signal_error\": 0.223606797749979, \"background\": {\"nominal\": 42.0, \"up\": 8.558621384311845, \"down\": 8.248636250920512}, \"processes\": [{\"name\": \"a\", \"label\": \"A\", \"stat_group\": \"a_b\", \"nominal\": 12.0, \"stat_up\": 3.159292970819848, \"stat_down\": 3.159292970819848, \"syst_up\": 1.118033988749895, \"syst_down\": 1.019803902718557}, {\"name\": \"b\", \"label\": \"B\", \"stat_group\": \"a_b\", \"nominal\": 7.0, \"stat_up\": 4.120816918460671, \"stat_down\": 4.120816918460671, \"syst_up\": 2.0, \"syst_down\": 2.0}, {\"name\": \"c\", \"label\": \"C\", \"stat_group\": \"c\", \"nominal\": 23.0, \"stat_up\": 2.23606797749979, \"stat_down\": 2.23606797749979, \"syst_up\": 3.1622776601683795, \"syst_down\": 2.23606797749979}], \"observed\": 48}, \"expected\": {\"p\": 0.30000000000000004, \"z\": 0.3333333333333333}, \"observed\": {\"p\": 5e-324, \"z\": null}, \"limit\": {\"observed\": 0.1, \"low2\": 0.2, \"low1\": 0.3, \"median\": 0.14285714285714285, \"high1\": 1e+300, \"high2\": 5e-324, \"status\": \"exact\"}, \"likelihood_limit\": {\"observed\": null, \"low2\": null, \"low1\": null, \"median\": null, \"high1\": null, \"high2\": null, \"status\": \"fit of mu: no-descent\"}, \"published\": null}',0.25,'2026-11-28 06:31:44','ac896e1992b463a313c2b9a6f25a86cb7ed321651031cb62f6b653342f7467e0');
INSERT INTO `scan_points` VALUES (1,'bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb','2000.0,0.0',NULL,NULL,'failed','outside of the hull, \'quoted\' – and more',NULL,0,'2026-11-28 06:31:44','42e96f13fcda6f47bcc67d098effc8b80839e44dc3377fdc71ce1ad2992a6cf0');
CREATE TABLE `scans` (
  `id` int(11) NOT NULL AUTO_INCREMENT,
  `search_id` int(11) NOT NULL,
  `digest` varchar(64) NOT NULL,
  `search_digest` varchar(64) NOT NULL,
  `model` varchar(255) NOT NULL,
  `options` text NOT NULL,
  `superbin_version` varchar(64) NOT NULL,
  `started_utc` datetime NOT NULL,
  `n_done` int(11) NOT NULL DEFAULT 0,
  `n_failed` int(11) NOT NULL DEFAULT 0,
  `record_digest` varchar(64) NOT NULL DEFAULT '',
  PRIMARY KEY (`id`),
  UNIQUE KEY `digest` (`digest`),
  KEY `search_id` (`search_id`),
  CONSTRAINT `scans_ibfk_1` FOREIGN KEY (`search_id`) REFERENCES `searches` (`id`) ON DELETE CASCADE
) ENGINE=InnoDB AUTO_INCREMENT=2 DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
INSERT INTO `scans` VALUES (1,1,'cc3bd15460b4417609309fea8a022dc30c5643ecc81c7eb3bc0251e405929631','cb26aa4cd2103ade7db14a5ac4e999332eb813d891ab40043ac7c813b31161b4','T0','{\"correlations\": \"none\", \"level\": 0.95}','0.1.0','2026-11-28 06:31:44',1,1,'68045b26993e0f613049298f4a4612b129db8dfab15d24b45318b00ff2a3b7a4');
CREATE TABLE `searches` (
  `id` int(11) NOT NULL AUTO_INCREMENT,
  `name` varchar(255) NOT NULL,
  `title` text NOT NULL,
  `reference` text NOT NULL,
  `luminosity_fb` double NOT NULL CHECK (`luminosity_fb` > 0),
  `sqrt_s_tev` double NOT NULL CHECK (`sqrt_s_tev` > 0),
  `provenance_id` int(11) NOT NULL,
  `n_signals` int(11) NOT NULL DEFAULT 0,
  `n_scans` int(11) NOT NULL DEFAULT 0,
  PRIMARY KEY (`id`),
  UNIQUE KEY `name` (`name`),
  UNIQUE KEY `provenance_id` (`provenance_id`),
  CONSTRAINT `searches_ibfk_1` FOREIGN KEY (`provenance_id`) REFERENCES `provenance` (`id`) ON DELETE CASCADE
) ENGINE=InnoDB AUTO_INCREMENT=2 DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
INSERT INTO `searches` VALUES (1,'small','A small search','arXiv:0000.00000',10,13,1,2,1);
CREATE TABLE `shared_stat_groups` (
  `search_id` int(11) NOT NULL,
  `position` int(11) NOT NULL,
  PRIMARY KEY (`search_id`,`position`),
  CONSTRAINT `shared_stat_groups_ibfk_1` FOREIGN KEY (`search_id`) REFERENCES `searches` (`id`) ON DELETE CASCADE
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
INSERT INTO `shared_stat_groups` VALUES (1,0);
CREATE TABLE `shared_stat_members` (
  `search_id` int(11) NOT NULL,
  `stat_group` int(11) NOT NULL,
  `position` int(11) NOT NULL,
  `process` int(11) NOT NULL,
  PRIMARY KEY (`search_id`,`stat_group`,`position`),
  KEY `search_id` (`search_id`,`process`),
  CONSTRAINT `shared_stat_members_ibfk_1` FOREIGN KEY (`search_id`, `stat_group`) REFERENCES `shared_stat_groups` (`search_id`, `position`) ON DELETE CASCADE,
  CONSTRAINT `shared_stat_members_ibfk_2` FOREIGN KEY (`search_id`, `process`) REFERENCES `processes` (`search_id`, `position`) ON DELETE CASCADE
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
INSERT INTO `shared_stat_members` VALUES (1,0,0,0);
INSERT INTO `shared_stat_members` VALUES (1,0,1,1);
CREATE TABLE `signal_parameters` (
  `signal_id` int(11) NOT NULL,
  `position` int(11) NOT NULL,
  `name` varchar(255) NOT NULL,
  `value` double NOT NULL,
  PRIMARY KEY (`signal_id`,`position`),
  UNIQUE KEY `signal_id` (`signal_id`,`name`),
  CONSTRAINT `signal_parameters_ibfk_1` FOREIGN KEY (`signal_id`) REFERENCES `signals` (`id`) ON DELETE CASCADE
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
INSERT INTO `signal_parameters` VALUES (2,0,'m_mother',1000);
INSERT INTO `signal_parameters` VALUES (2,1,'m_lsp',100);
CREATE TABLE `signal_variation_yields` (
  `signal_id` int(11) NOT NULL,
  `variation` int(11) NOT NULL,
  `bin` int(11) NOT NULL,
  `events_up` double NOT NULL CHECK (`events_up` >= 0),
  `events_down` double NOT NULL CHECK (`events_down` >= 0),
  PRIMARY KEY (`signal_id`,`variation`,`bin`),
  KEY `signal_id` (`signal_id`,`bin`),
  CONSTRAINT `signal_variation_yields_ibfk_1` FOREIGN KEY (`signal_id`, `variation`) REFERENCES `signal_variations` (`signal_id`, `position`) ON DELETE CASCADE,
  CONSTRAINT `signal_variation_yields_ibfk_2` FOREIGN KEY (`signal_id`, `bin`) REFERENCES `signal_yields` (`signal_id`, `bin`) ON DELETE CASCADE
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
CREATE TABLE `signal_variations` (
  `signal_id` int(11) NOT NULL,
  `position` int(11) NOT NULL,
  `name` varchar(255) NOT NULL,
  PRIMARY KEY (`signal_id`,`position`),
  UNIQUE KEY `signal_id` (`signal_id`,`name`),
  CONSTRAINT `signal_variations_ibfk_1` FOREIGN KEY (`signal_id`) REFERENCES `signals` (`id`) ON DELETE CASCADE
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
CREATE TABLE `signal_yields` (
  `signal_id` int(11) NOT NULL,
  `bin` int(11) NOT NULL,
  `search_id` int(11) NOT NULL,
  `events` double NOT NULL CHECK (`events` >= 0),
  `error` double NOT NULL CHECK (`error` >= 0),
  PRIMARY KEY (`signal_id`,`bin`),
  KEY `signal_id` (`signal_id`,`search_id`),
  KEY `search_id` (`search_id`,`bin`),
  CONSTRAINT `signal_yields_ibfk_1` FOREIGN KEY (`signal_id`, `search_id`) REFERENCES `signals` (`id`, `search_id`) ON DELETE CASCADE,
  CONSTRAINT `signal_yields_ibfk_2` FOREIGN KEY (`search_id`, `bin`) REFERENCES `bins` (`search_id`, `number`) ON DELETE CASCADE
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
INSERT INTO `signal_yields` VALUES (1,1,1,0.1,0);
INSERT INTO `signal_yields` VALUES (1,2,1,0.2,0);
INSERT INTO `signal_yields` VALUES (1,3,1,0.3,0);
INSERT INTO `signal_yields` VALUES (1,4,1,0.3333333333333333,0);
INSERT INTO `signal_yields` VALUES (2,1,1,1,0.1);
INSERT INTO `signal_yields` VALUES (2,2,1,2,0.2);
INSERT INTO `signal_yields` VALUES (2,3,1,2,0.2);
INSERT INTO `signal_yields` VALUES (2,4,1,3,0.3);
CREATE TABLE `signals` (
  `id` int(11) NOT NULL AUTO_INCREMENT,
  `search_id` int(11) NOT NULL,
  `model` varchar(255) NOT NULL,
  `point` varchar(500) NOT NULL,
  `cross_section_pb` double DEFAULT NULL CHECK (`cross_section_pb` > 0),
  `provenance_id` int(11) NOT NULL,
  `relative_error` double NOT NULL DEFAULT 0 CHECK (`relative_error` >= 0),
  PRIMARY KEY (`id`),
  UNIQUE KEY `search_id` (`search_id`,`model`,`point`),
  UNIQUE KEY `id` (`id`,`search_id`),
  UNIQUE KEY `provenance_id` (`provenance_id`),
  CONSTRAINT `signals_ibfk_1` FOREIGN KEY (`search_id`) REFERENCES `searches` (`id`) ON DELETE CASCADE,
  CONSTRAINT `signals_ibfk_2` FOREIGN KEY (`provenance_id`) REFERENCES `provenance` (`id`) ON DELETE CASCADE
) ENGINE=InnoDB AUTO_INCREMENT=3 DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
INSERT INTO `signals` VALUES (1,1,'SM4','',0.1,2,0);
INSERT INTO `signals` VALUES (2,1,'T0','1000.0,100.0',NULL,3,0);
CREATE TABLE `superbin` (
  `id` int(11) NOT NULL CHECK (`id` = 1),
  `schema_version` int(11) NOT NULL,
  `packaged_digest` varchar(64) DEFAULT NULL,
  `n_searches` int(11) NOT NULL DEFAULT 0,
  PRIMARY KEY (`id`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
INSERT INTO `superbin` VALUES (1,5,NULL,1);
SET FOREIGN_KEY_CHECKS = 1;
