CREATE TABLE event (
    event_id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    type_name VARCHAR(255) NOT NULL,
    body TEXT NOT NULL,
    occurred_on VARCHAR(40) NOT NULL,
    aggregate_id VARCHAR(255),
    metadata TEXT
);

CREATE TABLE event_published_message_tracker (
    tracker_id INTEGER NOT NULL,
    most_recent_published_message_id BIGINT DEFAULT '0' NOT NULL,
    type_name VARCHAR(255) NOT NULL,
    generation INTEGER DEFAULT '0' NOT NULL,
    fingerprint VARCHAR(255),
    lease_owner VARCHAR(255),
    lease_epoch BIGINT DEFAULT '0' NOT NULL,
    lease_expires DOUBLE DEFAULT '0' NOT NULL,
    stopped_by_event BIGINT,
    stopped_reason TEXT,
    stopped_on VARCHAR(40),
    PRIMARY KEY (tracker_id),
    CONSTRAINT uq_event_published_message_tracker_type_name UNIQUE (type_name)
);

CREATE TABLE quarantined_event (
    exchange_name VARCHAR(255) NOT NULL,
    event_id BIGINT NOT NULL,
    type_name VARCHAR(255) NOT NULL,
    reason TEXT NOT NULL,
    quarantined_on VARCHAR(40) NOT NULL,
    retry_asked SMALLINT DEFAULT '0' NOT NULL,
    PRIMARY KEY (exchange_name, event_id)
);

CREATE TABLE tidings_schema (
    schema_id INTEGER NOT NULL,
    version INTEGER NOT NULL,
    PRIMARY KEY (schema_id)
);

INSERT INTO tidings_schema (schema_id, version) VALUES (1, 1);

INSERT INTO event (type_name, body, occurred_on, aggregate_id) VALUES ('OrderPlaced', '{"n":1}', '2026-01-02T03:04:05.000001+00:00', 'order-1'), ('OrderPlaced', '{"n":2}', '2026-01-02T03:04:05.000002+00:00', NULL), ('OrderPaid', '{"n":3}', '2026-01-02T03:04:05.000003+00:00', NULL);

INSERT INTO event_published_message_tracker (most_recent_published_message_id, type_name, generation, fingerprint, lease_epoch) VALUES (2, 'shop', 1, '20260102T030405.000002 OrderPlaced', 7);

INSERT INTO quarantined_event (exchange_name, event_id, type_name, reason, quarantined_on) VALUES ('shop', 1, 'OrderPlaced', 'too large', '2026-01-02T03:04:06.000000+00:00');
