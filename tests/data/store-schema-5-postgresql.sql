-- A small database of schema version 5 as superbin made it in PostgreSQL, with two signals, a scan, a finished and a failed point.
CREATE TABLE public.bin_ranges (
    search_id integer NOT NULL,
    bin integer NOT NULL,
    observable integer NOT NULL,
    low double precision NOT NULL,
    high double precision,
    CONSTRAINT bin_ranges_check CHECK ((high >= low)),
    CONSTRAINT bin_ranges_low_check CHECK ((low >= (0)::double precision))
);
CREATE TABLE public.bins (
    search_id integer NOT NULL,
    number integer NOT NULL,
    CONSTRAINT bins_number_check CHECK ((number >= 1))
);
CREATE TABLE public.bundle_files (
    search_id integer NOT NULL,
    name character varying(255) NOT NULL,
    digest character varying(64) NOT NULL,
    content bytea NOT NULL
);
CREATE TABLE public.estimates (
    search_id integer NOT NULL,
    process integer NOT NULL,
    bin integer NOT NULL,
    nominal double precision NOT NULL,
    stat_up double precision NOT NULL,
    stat_down double precision NOT NULL,
    syst_up double precision NOT NULL,
    syst_down double precision NOT NULL,
    CONSTRAINT estimates_nominal_check CHECK ((nominal >= (0)::double precision)),
    CONSTRAINT estimates_stat_down_check CHECK ((stat_down >= (0)::double precision)),
    CONSTRAINT estimates_stat_up_check CHECK ((stat_up >= (0)::double precision)),
    CONSTRAINT estimates_syst_down_check CHECK ((syst_down >= (0)::double precision)),
    CONSTRAINT estimates_syst_up_check CHECK ((syst_up >= (0)::double precision))
);
CREATE TABLE public.observables (
    search_id integer NOT NULL,
    "position" integer NOT NULL,
    name character varying(255) NOT NULL,
    label text NOT NULL,
    unit character varying(255) NOT NULL,
    discrete boolean NOT NULL
);
CREATE TABLE public.observations (
    search_id integer NOT NULL,
    bin integer NOT NULL,
    events double precision NOT NULL,
    CONSTRAINT observations_events_check CHECK (((events >= (0)::double precision) AND (events = round(events))))
);
CREATE TABLE public.processes (
    search_id integer NOT NULL,
    "position" integer NOT NULL,
    name character varying(255) NOT NULL,
    label text NOT NULL
);
CREATE TABLE public.provenance (
    id integer NOT NULL,
    origin character varying(8) NOT NULL,
    source text NOT NULL,
    digest character varying(64) NOT NULL,
    superbin_version character varying(64) NOT NULL,
    imported_utc timestamp without time zone NOT NULL,
    record_digest character varying(64) DEFAULT ''::character varying NOT NULL,
    CONSTRAINT provenance_origin_check CHECK (((origin)::text = ANY (ARRAY[('packaged'::character varying)::text, ('imported'::character varying)::text])))
);
CREATE SEQUENCE public.provenance_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.provenance_id_seq OWNED BY public.provenance.id;
CREATE TABLE public.scan_parameters (
    scan_id integer NOT NULL,
    "position" integer NOT NULL,
    name character varying(255) NOT NULL
);
CREATE TABLE public.scan_points (
    scan_id integer NOT NULL,
    signal_digest character varying(64) NOT NULL,
    point character varying(500) NOT NULL,
    cross_section_pb double precision,
    cross_section_error double precision,
    status character varying(8) NOT NULL,
    reason text,
    result text,
    seconds double precision NOT NULL,
    finished_utc timestamp without time zone NOT NULL,
    record_digest character varying(64) DEFAULT ''::character varying NOT NULL,
    CONSTRAINT scan_points_check CHECK (((((status)::text = 'done'::text) AND (result IS NOT NULL) AND (reason IS NULL)) OR (((status)::text = 'failed'::text) AND (result IS NULL) AND (reason IS NOT NULL)))),
    CONSTRAINT scan_points_cross_section_error_check CHECK ((cross_section_error >= (0)::double precision)),
    CONSTRAINT scan_points_cross_section_pb_check CHECK ((cross_section_pb > (0)::double precision)),
    CONSTRAINT scan_points_seconds_check CHECK ((seconds >= (0)::double precision))
);
CREATE TABLE public.scans (
    id integer NOT NULL,
    search_id integer NOT NULL,
    digest character varying(64) NOT NULL,
    search_digest character varying(64) NOT NULL,
    model character varying(255) NOT NULL,
    options text NOT NULL,
    superbin_version character varying(64) NOT NULL,
    started_utc timestamp without time zone NOT NULL,
    n_done integer DEFAULT 0 NOT NULL,
    n_failed integer DEFAULT 0 NOT NULL,
    record_digest character varying(64) DEFAULT ''::character varying NOT NULL
);
CREATE SEQUENCE public.scans_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.scans_id_seq OWNED BY public.scans.id;
CREATE TABLE public.searches (
    id integer NOT NULL,
    name character varying(255) NOT NULL,
    title text NOT NULL,
    reference text NOT NULL,
    luminosity_fb double precision NOT NULL,
    sqrt_s_tev double precision NOT NULL,
    provenance_id integer NOT NULL,
    n_signals integer DEFAULT 0 NOT NULL,
    n_scans integer DEFAULT 0 NOT NULL,
    CONSTRAINT searches_luminosity_fb_check CHECK ((luminosity_fb > (0)::double precision)),
    CONSTRAINT searches_sqrt_s_tev_check CHECK ((sqrt_s_tev > (0)::double precision))
);
CREATE SEQUENCE public.searches_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.searches_id_seq OWNED BY public.searches.id;
CREATE TABLE public.shared_stat_groups (
    search_id integer NOT NULL,
    "position" integer NOT NULL
);
CREATE TABLE public.shared_stat_members (
    search_id integer NOT NULL,
    stat_group integer NOT NULL,
    "position" integer NOT NULL,
    process integer NOT NULL
);
CREATE TABLE public.signal_parameters (
    signal_id integer NOT NULL,
    "position" integer NOT NULL,
    name character varying(255) NOT NULL,
    value double precision NOT NULL
);
CREATE TABLE public.signal_variation_yields (
    signal_id integer NOT NULL,
    variation integer NOT NULL,
    bin integer NOT NULL,
    events_up double precision NOT NULL,
    events_down double precision NOT NULL,
    CONSTRAINT signal_variation_yields_events_down_check CHECK ((events_down >= (0)::double precision)),
    CONSTRAINT signal_variation_yields_events_up_check CHECK ((events_up >= (0)::double precision))
);
CREATE TABLE public.signal_variations (
    signal_id integer NOT NULL,
    "position" integer NOT NULL,
    name character varying(255) NOT NULL
);
CREATE TABLE public.signal_yields (
    signal_id integer NOT NULL,
    bin integer NOT NULL,
    search_id integer NOT NULL,
    events double precision NOT NULL,
    error double precision NOT NULL,
    CONSTRAINT signal_yields_error_check CHECK ((error >= (0)::double precision)),
    CONSTRAINT signal_yields_events_check CHECK ((events >= (0)::double precision))
);
CREATE TABLE public.signals (
    id integer NOT NULL,
    search_id integer NOT NULL,
    model character varying(255) NOT NULL,
    point character varying(500) NOT NULL,
    cross_section_pb double precision,
    provenance_id integer NOT NULL,
    relative_error double precision DEFAULT 0 NOT NULL,
    CONSTRAINT signals_cross_section_pb_check CHECK ((cross_section_pb > (0)::double precision)),
    CONSTRAINT signals_relative_error_check CHECK ((relative_error >= (0)::double precision))
);
CREATE SEQUENCE public.signals_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
ALTER SEQUENCE public.signals_id_seq OWNED BY public.signals.id;
CREATE TABLE public.superbin (
    id integer NOT NULL,
    schema_version integer NOT NULL,
    packaged_digest character varying(64),
    n_searches integer DEFAULT 0 NOT NULL,
    CONSTRAINT superbin_id_check CHECK ((id = 1))
);
ALTER TABLE ONLY public.provenance ALTER COLUMN id SET DEFAULT nextval('public.provenance_id_seq'::regclass);
ALTER TABLE ONLY public.scans ALTER COLUMN id SET DEFAULT nextval('public.scans_id_seq'::regclass);
ALTER TABLE ONLY public.searches ALTER COLUMN id SET DEFAULT nextval('public.searches_id_seq'::regclass);
ALTER TABLE ONLY public.signals ALTER COLUMN id SET DEFAULT nextval('public.signals_id_seq'::regclass);
INSERT INTO public.bin_ranges VALUES (1, 1, 0, 2, 3);
INSERT INTO public.bin_ranges VALUES (1, 1, 1, 300, 500);
INSERT INTO public.bin_ranges VALUES (1, 2, 0, 2, 3);
INSERT INTO public.bin_ranges VALUES (1, 2, 1, 500, NULL);
INSERT INTO public.bin_ranges VALUES (1, 3, 0, 4, NULL);
INSERT INTO public.bin_ranges VALUES (1, 3, 1, 300, 500);
INSERT INTO public.bin_ranges VALUES (1, 4, 0, 4, NULL);
INSERT INTO public.bin_ranges VALUES (1, 4, 1, 500, NULL);
INSERT INTO public.bins VALUES (1, 1);
INSERT INTO public.bins VALUES (1, 2);
INSERT INTO public.bins VALUES (1, 3);
INSERT INTO public.bins VALUES (1, 4);
INSERT INTO public.estimates VALUES (1, 0, 1, 10, 3, 3, 1, 1);
INSERT INTO public.estimates VALUES (1, 0, 2, 5, 2, 2, 1, 0.5);
INSERT INTO public.estimates VALUES (1, 0, 3, 2, 1, 1, 0.5, 0.2);
INSERT INTO public.estimates VALUES (1, 0, 4, 0, 0.5, 0, 0, 0);
INSERT INTO public.estimates VALUES (1, 1, 1, 6, 4, 4, 2, 2);
INSERT INTO public.estimates VALUES (1, 1, 2, 3, 1, 1, 0.5, 0.5);
INSERT INTO public.estimates VALUES (1, 1, 3, 1, 1, 1, 0, 0);
INSERT INTO public.estimates VALUES (1, 1, 4, 0, 0.5, 0, 0, 0);
INSERT INTO public.estimates VALUES (1, 2, 1, 20, 2, 2, 3, 2);
INSERT INTO public.estimates VALUES (1, 2, 2, 4, 1, 1, 1, 1);
INSERT INTO public.estimates VALUES (1, 2, 3, 3, 1, 1, 1, 1);
INSERT INTO public.estimates VALUES (1, 2, 4, 1, 1, 0.5, 0.5, 0.5);
INSERT INTO public.observables VALUES (1, 0, 'njet', '$N_\mathrm{jet}$', '', true);
INSERT INTO public.observables VALUES (1, 1, 'mht', 'MHT', 'GeV', false);
INSERT INTO public.observations VALUES (1, 1, 40);
INSERT INTO public.observations VALUES (1, 2, 10);
INSERT INTO public.observations VALUES (1, 3, 8);
INSERT INTO public.observations VALUES (1, 4, 2);
INSERT INTO public.processes VALUES (1, 0, 'a', 'A');
INSERT INTO public.processes VALUES (1, 1, 'b', 'B');
INSERT INTO public.processes VALUES (1, 2, 'c', 'C');
INSERT INTO public.provenance VALUES (1, 'imported', 'made up', 'cb26aa4cd2103ade7db14a5ac4e999332eb813d891ab40043ac7c813b31161b4', '0.1.0', '2026-11-28 06:31:34', '9da420752c9d0804709239565b209f50f1c90c634b799bbd93e6a7706ca1f0dc');
INSERT INTO public.provenance VALUES (2, 'imported', 'é', 'e10eaedc891be7533f61564d9d69185261448c27cdeace6d584e8b79f01f8e68', '0.1.0', '2026-11-28 06:31:34', '41b045f12efe64aa3411f3289dccc819c2889e8aeea930e333a79eb1cce0191f');
INSERT INTO public.provenance VALUES (3, 'imported', 'made up', '3404c7da59750b59b09e417f10d9f4d490cfc71330dd84b7ebe71ae6d2a5bdcb', '0.1.0', '2026-11-28 06:31:34', '481cf4745bd27a66d9de98e4048f0d79975c0427e1d2a8e19cf6789b03c5deea');
INSERT INTO public.scan_parameters VALUES (1, 0, 'm_mother');
INSERT INTO public.scan_parameters VALUES (1, 1, 'm_lsp');
INSERT INTO public.scan_points VALUES (1, 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa', '1000.1,100.0', 1e-320, 0.27, 'done', NULL, '{"bins": [1, 3], "cuts": ["$N_\\mathrm{jet}$ ≥ 4"], "merge_status": "best found", "yields": {"bins": [1, 3], "signal": 3.0, "signal_error": 0.223606797749979, "background": {"nominal": 42.0, "up": 8.558621384311845, "down": 8.248636250920512}, "processes": [{"name": "a", "label": "A", "stat_group": "a_b", "nominal": 12.0, "stat_up": 3.159292970819848, "stat_down": 3.159292970819848, "syst_up": 1.118033988749895, "syst_down": 1.019803902718557}, {"name": "b", "label": "B", "stat_group": "a_b", "nominal": 7.0, "stat_up": 4.120816918460671, "stat_down": 4.120816918460671, "syst_up": 2.0, "syst_down": 2.0}, {"name": "c", "label": "C", "stat_group": "c", "nominal": 23.0, "stat_up": 2.23606797749979, "stat_down": 2.23606797749979, "syst_up": 3.1622776601683795, "syst_down": 2.23606797749979}], "observed": 48}, "expected": {"p": 0.30000000000000004, "z": 0.3333333333333333}, "observed": {"p": 5e-324, "z": null}, "limit": {"observed": 0.1, "low2": 0.2, "low1": 0.3, "median": 0.14285714285714285, "high1": 1e+300, "high2": 5e-324, "status": "exact"}, "likelihood_limit": {"observed": null, "low2": null, "low1": null, "median": null, "high1": null, "high2": null, "status": "fit of mu: no-descent"}, "published": null}', 0.25, '2026-11-28 06:31:35', 'b73cb7d24a3d302166492182638c452d65a3f3eb19e09345370e2acb9d47b2c2');
INSERT INTO public.scan_points VALUES (1, 'bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb', '2000.0,0.0', NULL, NULL, 'failed', 'outside of the hull, ''quoted'' – and more', NULL, 0, '2026-11-28 06:31:35', 'f29b2ea8f50dc17901cce09b652ab29958ed2e27f02efb61fbbde304b71e8c76');
INSERT INTO public.scans VALUES (1, 1, 'cc3bd15460b4417609309fea8a022dc30c5643ecc81c7eb3bc0251e405929631', 'cb26aa4cd2103ade7db14a5ac4e999332eb813d891ab40043ac7c813b31161b4', 'T0', '{"correlations": "none", "level": 0.95}', '0.1.0', '2026-11-28 06:31:34', 1, 1, 'c3b286228ff704c2ad911c435b78f68a39fcc81c11b74a58f334677aa90a8000');
INSERT INTO public.searches VALUES (1, 'small', 'A small search', 'arXiv:0000.00000', 10, 13, 1, 2, 1);
INSERT INTO public.shared_stat_groups VALUES (1, 0);
INSERT INTO public.shared_stat_members VALUES (1, 0, 0, 0);
INSERT INTO public.shared_stat_members VALUES (1, 0, 1, 1);
INSERT INTO public.signal_parameters VALUES (2, 0, 'm_mother', 1000);
INSERT INTO public.signal_parameters VALUES (2, 1, 'm_lsp', 100);
INSERT INTO public.signal_yields VALUES (1, 1, 1, 0.1, 0);
INSERT INTO public.signal_yields VALUES (1, 2, 1, 0.2, 0);
INSERT INTO public.signal_yields VALUES (1, 3, 1, 0.3, 0);
INSERT INTO public.signal_yields VALUES (1, 4, 1, 0.3333333333333333, 0);
INSERT INTO public.signal_yields VALUES (2, 1, 1, 1, 0.1);
INSERT INTO public.signal_yields VALUES (2, 2, 1, 2, 0.2);
INSERT INTO public.signal_yields VALUES (2, 3, 1, 2, 0.2);
INSERT INTO public.signal_yields VALUES (2, 4, 1, 3, 0.3);
INSERT INTO public.signals VALUES (1, 1, 'SM4', '', 0.1, 2, 0);
INSERT INTO public.signals VALUES (2, 1, 'T0', '1000.0,100.0', NULL, 3, 0);
INSERT INTO public.superbin VALUES (1, 5, NULL, 1);
SELECT pg_catalog.setval('public.provenance_id_seq', 3, true);
SELECT pg_catalog.setval('public.scans_id_seq', 1, true);
SELECT pg_catalog.setval('public.searches_id_seq', 1, true);
SELECT pg_catalog.setval('public.signals_id_seq', 2, true);
ALTER TABLE ONLY public.bin_ranges
    ADD CONSTRAINT bin_ranges_pkey PRIMARY KEY (search_id, bin, observable);
ALTER TABLE ONLY public.bins
    ADD CONSTRAINT bins_pkey PRIMARY KEY (search_id, number);
ALTER TABLE ONLY public.bundle_files
    ADD CONSTRAINT bundle_files_pkey PRIMARY KEY (search_id, name);
ALTER TABLE ONLY public.estimates
    ADD CONSTRAINT estimates_pkey PRIMARY KEY (search_id, process, bin);
ALTER TABLE ONLY public.observables
    ADD CONSTRAINT observables_pkey PRIMARY KEY (search_id, "position");
ALTER TABLE ONLY public.observables
    ADD CONSTRAINT observables_search_id_name_key UNIQUE (search_id, name);
ALTER TABLE ONLY public.observations
    ADD CONSTRAINT observations_pkey PRIMARY KEY (search_id, bin);
ALTER TABLE ONLY public.processes
    ADD CONSTRAINT processes_pkey PRIMARY KEY (search_id, "position");
ALTER TABLE ONLY public.processes
    ADD CONSTRAINT processes_search_id_name_key UNIQUE (search_id, name);
ALTER TABLE ONLY public.provenance
    ADD CONSTRAINT provenance_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.scan_parameters
    ADD CONSTRAINT scan_parameters_pkey PRIMARY KEY (scan_id, "position");
ALTER TABLE ONLY public.scan_parameters
    ADD CONSTRAINT scan_parameters_scan_id_name_key UNIQUE (scan_id, name);
ALTER TABLE ONLY public.scan_points
    ADD CONSTRAINT scan_points_pkey PRIMARY KEY (scan_id, signal_digest);
ALTER TABLE ONLY public.scans
    ADD CONSTRAINT scans_digest_key UNIQUE (digest);
ALTER TABLE ONLY public.scans
    ADD CONSTRAINT scans_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.searches
    ADD CONSTRAINT searches_name_key UNIQUE (name);
ALTER TABLE ONLY public.searches
    ADD CONSTRAINT searches_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.searches
    ADD CONSTRAINT searches_provenance_id_key UNIQUE (provenance_id);
ALTER TABLE ONLY public.shared_stat_groups
    ADD CONSTRAINT shared_stat_groups_pkey PRIMARY KEY (search_id, "position");
ALTER TABLE ONLY public.shared_stat_members
    ADD CONSTRAINT shared_stat_members_pkey PRIMARY KEY (search_id, stat_group, "position");
ALTER TABLE ONLY public.signal_parameters
    ADD CONSTRAINT signal_parameters_pkey PRIMARY KEY (signal_id, "position");
ALTER TABLE ONLY public.signal_parameters
    ADD CONSTRAINT signal_parameters_signal_id_name_key UNIQUE (signal_id, name);
ALTER TABLE ONLY public.signal_variation_yields
    ADD CONSTRAINT signal_variation_yields_pkey PRIMARY KEY (signal_id, variation, bin);
ALTER TABLE ONLY public.signal_variations
    ADD CONSTRAINT signal_variations_pkey PRIMARY KEY (signal_id, "position");
ALTER TABLE ONLY public.signal_variations
    ADD CONSTRAINT signal_variations_signal_id_name_key UNIQUE (signal_id, name);
ALTER TABLE ONLY public.signal_yields
    ADD CONSTRAINT signal_yields_pkey PRIMARY KEY (signal_id, bin);
ALTER TABLE ONLY public.signals
    ADD CONSTRAINT signals_id_search_id_key UNIQUE (id, search_id);
ALTER TABLE ONLY public.signals
    ADD CONSTRAINT signals_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.signals
    ADD CONSTRAINT signals_provenance_id_key UNIQUE (provenance_id);
ALTER TABLE ONLY public.signals
    ADD CONSTRAINT signals_search_id_model_point_key UNIQUE (search_id, model, point);
ALTER TABLE ONLY public.superbin
    ADD CONSTRAINT superbin_pkey PRIMARY KEY (id);
ALTER TABLE ONLY public.bin_ranges
    ADD CONSTRAINT bin_ranges_search_id_bin_fkey FOREIGN KEY (search_id, bin) REFERENCES public.bins(search_id, number) ON DELETE CASCADE;
ALTER TABLE ONLY public.bin_ranges
    ADD CONSTRAINT bin_ranges_search_id_observable_fkey FOREIGN KEY (search_id, observable) REFERENCES public.observables(search_id, "position") ON DELETE CASCADE;
ALTER TABLE ONLY public.bins
    ADD CONSTRAINT bins_search_id_fkey FOREIGN KEY (search_id) REFERENCES public.searches(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.bundle_files
    ADD CONSTRAINT bundle_files_search_id_fkey FOREIGN KEY (search_id) REFERENCES public.searches(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.estimates
    ADD CONSTRAINT estimates_search_id_bin_fkey FOREIGN KEY (search_id, bin) REFERENCES public.bins(search_id, number) ON DELETE CASCADE;
ALTER TABLE ONLY public.estimates
    ADD CONSTRAINT estimates_search_id_process_fkey FOREIGN KEY (search_id, process) REFERENCES public.processes(search_id, "position") ON DELETE CASCADE;
ALTER TABLE ONLY public.observables
    ADD CONSTRAINT observables_search_id_fkey FOREIGN KEY (search_id) REFERENCES public.searches(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.observations
    ADD CONSTRAINT observations_search_id_bin_fkey FOREIGN KEY (search_id, bin) REFERENCES public.bins(search_id, number) ON DELETE CASCADE;
ALTER TABLE ONLY public.processes
    ADD CONSTRAINT processes_search_id_fkey FOREIGN KEY (search_id) REFERENCES public.searches(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.scan_parameters
    ADD CONSTRAINT scan_parameters_scan_id_fkey FOREIGN KEY (scan_id) REFERENCES public.scans(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.scan_points
    ADD CONSTRAINT scan_points_scan_id_fkey FOREIGN KEY (scan_id) REFERENCES public.scans(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.scans
    ADD CONSTRAINT scans_search_id_fkey FOREIGN KEY (search_id) REFERENCES public.searches(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.searches
    ADD CONSTRAINT searches_provenance_id_fkey FOREIGN KEY (provenance_id) REFERENCES public.provenance(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.shared_stat_groups
    ADD CONSTRAINT shared_stat_groups_search_id_fkey FOREIGN KEY (search_id) REFERENCES public.searches(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.shared_stat_members
    ADD CONSTRAINT shared_stat_members_search_id_process_fkey FOREIGN KEY (search_id, process) REFERENCES public.processes(search_id, "position") ON DELETE CASCADE;
ALTER TABLE ONLY public.shared_stat_members
    ADD CONSTRAINT shared_stat_members_search_id_stat_group_fkey FOREIGN KEY (search_id, stat_group) REFERENCES public.shared_stat_groups(search_id, "position") ON DELETE CASCADE;
ALTER TABLE ONLY public.signal_parameters
    ADD CONSTRAINT signal_parameters_signal_id_fkey FOREIGN KEY (signal_id) REFERENCES public.signals(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.signal_variation_yields
    ADD CONSTRAINT signal_variation_yields_signal_id_bin_fkey FOREIGN KEY (signal_id, bin) REFERENCES public.signal_yields(signal_id, bin) ON DELETE CASCADE;
ALTER TABLE ONLY public.signal_variation_yields
    ADD CONSTRAINT signal_variation_yields_signal_id_variation_fkey FOREIGN KEY (signal_id, variation) REFERENCES public.signal_variations(signal_id, "position") ON DELETE CASCADE;
ALTER TABLE ONLY public.signal_variations
    ADD CONSTRAINT signal_variations_signal_id_fkey FOREIGN KEY (signal_id) REFERENCES public.signals(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.signal_yields
    ADD CONSTRAINT signal_yields_search_id_bin_fkey FOREIGN KEY (search_id, bin) REFERENCES public.bins(search_id, number) ON DELETE CASCADE;
ALTER TABLE ONLY public.signal_yields
    ADD CONSTRAINT signal_yields_signal_id_search_id_fkey FOREIGN KEY (signal_id, search_id) REFERENCES public.signals(id, search_id) ON DELETE CASCADE;
ALTER TABLE ONLY public.signals
    ADD CONSTRAINT signals_provenance_id_fkey FOREIGN KEY (provenance_id) REFERENCES public.provenance(id) ON DELETE CASCADE;
ALTER TABLE ONLY public.signals
    ADD CONSTRAINT signals_search_id_fkey FOREIGN KEY (search_id) REFERENCES public.searches(id) ON DELETE CASCADE;
