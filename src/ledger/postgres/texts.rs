//! The statements that Postgres needs in its own words.

use crate::ledger::driver::SqlTexts;

pub(super) const TEXTS: SqlTexts = SqlTexts {
    lease_is_held: |lease| {
        format!(
            "EXISTS (SELECT 1 FROM drivers d WHERE d.broadcast = broadcasts.id AND d.number = {lease} FOR KEY SHARE)"
        )
    },
    // One of the drivers that are alive. An instance is dead if its heartbeat expired before ?1.
    broadcasts: "SELECT b.*, a.key AS app_key, o.name AS owner_name, o.pid AS owner_pid, o.lock AS owner_lock
        FROM broadcasts b JOIN apps a ON a.id = b.app LEFT JOIN LATERAL
            (SELECT * FROM instances w WHERE w.id IN (SELECT d.owner FROM drivers d WHERE d.broadcast = b.id)
                AND w.alive_until >= ?1
                ORDER BY w.id LIMIT 1) o ON true ",
    renew_lease: "UPDATE drivers SET lease_until = ?, lease_for = ? WHERE broadcast = ? AND number = ?",
    not_of_other_drivers: "NOT EXISTS (SELECT 1 FROM ranges s WHERE s.broadcast = recipients.broadcast
        AND recipients.seq BETWEEN s.first AND s.last AND s.driver <> ?)",
    delete_old_status: "DELETE FROM driver_status WHERE broadcast = ?1 AND driver <> ?2 AND NOT EXISTS
        (SELECT 1 FROM drivers d WHERE d.broadcast = driver_status.broadcast AND d.number = driver_status.driver)",
    driver_statuses: "SELECT s.broadcast, s.status FROM driver_status s
        JOIN drivers d ON d.broadcast = s.broadcast AND d.number = s.driver
        WHERE (?1 IS NULL OR s.broadcast = ?1) ORDER BY s.broadcast, s.driver",
    file_urls: "CAST(m.content AS JSONB) #>> '{body,url}', CAST(m.content AS JSONB) #>> '{body,thumb}'",
    message_sender: "CAST(m.content AS JSONB) ->> 'from'",
    file_url_rows: "SELECT broadcast, id, CAST(content AS JSONB) #>> '{body,url}' AS url FROM messages
        UNION ALL SELECT broadcast, id, CAST(content AS JSONB) #>> '{body,thumb}' AS url FROM messages",
    upload_url: "CAST(file AS JSONB) ->> 'url'",
    replace_file: [
        "UPDATE messages SET content = CAST(CASE WHEN ?2 IS NULL
            THEN jsonb_set(CAST(content AS JSONB), '{body,url}', to_jsonb(?1)) #- '{body,secret}'
            ELSE jsonb_set(jsonb_set(CAST(content AS JSONB), '{body,url}', to_jsonb(?1)), '{body,secret}', to_jsonb(?2)) END AS TEXT)
            WHERE broadcast = ?3 AND CAST(content AS JSONB) #>> '{body,url}' = ?4",
        "UPDATE messages SET content = CAST(CASE WHEN ?2 IS NULL
            THEN jsonb_set(CAST(content AS JSONB), '{body,thumb}', to_jsonb(?1)) #- '{body,thumb_secret}'
            ELSE jsonb_set(jsonb_set(CAST(content AS JSONB), '{body,thumb}', to_jsonb(?1)), '{body,thumb_secret}', to_jsonb(?2)) END AS TEXT)
            WHERE broadcast = ?3 AND CAST(content AS JSONB) #>> '{body,thumb}' = ?4",
    ],
    lock_app: Some("SELECT id FROM apps WHERE id = ? FOR NO KEY UPDATE"),
    by_bytes: " COLLATE \"C\"",
    columns: "SELECT CAST(t.relname AS TEXT) AS table_name, CAST(c.attname AS TEXT) AS name,
            format_type(c.atttypid, NULL) AS kind,
            CAST(coalesce(array_position(CAST(k.conkey AS BIGINT[]), CAST(c.attnum AS BIGINT)), 0) AS BIGINT) AS key_place
        FROM pg_class t JOIN pg_attribute c ON c.attrelid = t.oid AND c.attnum > 0 AND NOT c.attisdropped
        LEFT JOIN pg_constraint k ON k.conrelid = t.oid AND k.contype = 'p'
        WHERE t.relkind = 'r' AND t.relnamespace = to_regnamespace(current_schema())",
    key_share: " FOR KEY SHARE",
    last_id: "SELECT coalesce(pg_sequence_last_value(CAST(pg_get_serial_sequence(?, 'id') AS regclass)), 0)",
    wait_longer: Some("SET LOCAL idle_in_transaction_session_timeout = '2min'"),
};
