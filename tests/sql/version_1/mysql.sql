CREATE TABLE event (
    event_id BIGINT NOT NULL AUTO_INCREMENT,
    type_name VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    body LONGTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    occurred_on DATETIME(6) NOT NULL,
    aggregate_id VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin,
    metadata LONGTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin,
    PRIMARY KEY (event_id)
)ENGINE=InnoDB CHARSET=utf8mb4 COMMENT='Domain events, in the order in which they count' COLLATE utf8mb4_bin;

CREATE TABLE event_append_lock (
    lock_id INTEGER NOT NULL,
    PRIMARY KEY (lock_id)
)ENGINE=InnoDB CHARSET=utf8mb4 COMMENT='Its one row is locked from an append to the end of the transaction' COLLATE utf8mb4_bin;

CREATE TABLE event_published_message_tracker (
    tracker_id INTEGER NOT NULL AUTO_INCREMENT,
    most_recent_published_message_id BIGINT NOT NULL DEFAULT '0',
    type_name VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL COMMENT 'The exchange''s name',
    generation INTEGER NOT NULL DEFAULT '0',
    fingerprint VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin COMMENT 'What tells the event at this position from another',
    lease_owner VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin,
    lease_epoch BIGINT NOT NULL DEFAULT '0',
    lease_expires DOUBLE NOT NULL COMMENT 'Seconds since 1970, by the database''s clock' DEFAULT '0',
    stopped_by_event BIGINT COMMENT 'The event that can never be sent as it is',
    stopped_reason LONGTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin,
    stopped_on DATETIME(6),
    PRIMARY KEY (tracker_id),
    CONSTRAINT uq_event_published_message_tracker_type_name UNIQUE (type_name)
)ENGINE=InnoDB CHARSET=utf8mb4 COMMENT='How far each exchange has got, and who relays it' COLLATE utf8mb4_bin;

CREATE TABLE quarantined_event (
    exchange_name VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    event_id BIGINT NOT NULL,
    type_name VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    reason LONGTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
    quarantined_on DATETIME(6) NOT NULL,
    retry_asked SMALLINT NOT NULL DEFAULT '0',
    PRIMARY KEY (exchange_name, event_id)
)ENGINE=InnoDB CHARSET=utf8mb4 COMMENT='Events that an exchange has passed without sending them' COLLATE utf8mb4_bin;

CREATE TABLE tidings_schema (
    schema_id INTEGER NOT NULL,
    version INTEGER NOT NULL,
    PRIMARY KEY (schema_id)
)ENGINE=InnoDB CHARSET=utf8mb4 COMMENT='Which tidings made these tables' COLLATE utf8mb4_bin;

INSERT INTO tidings_schema (schema_id, version) VALUES (1, 1);

INSERT INTO event_append_lock (lock_id) VALUES (1);

INSERT INTO event (type_name, body, occurred_on, aggregate_id) VALUES ('OrderPlaced', '{"n":1}', '2026-01-02 03:04:05.000001', 'order-1'), ('OrderPlaced', '{"n":2}', '2026-01-02 03:04:05.000002', NULL), ('OrderPaid', '{"n":3}', '2026-01-02 03:04:05.000003', NULL);

INSERT INTO event_published_message_tracker (most_recent_published_message_id, type_name, generation, fingerprint, lease_epoch) VALUES (2, 'shop', 1, '20260102T030405.000002 OrderPlaced', 7);

INSERT INTO quarantined_event (exchange_name, event_id, type_name, reason, quarantined_on) VALUES ('shop', 1, 'OrderPlaced', 'too large', '2026-01-02 03:04:06');
