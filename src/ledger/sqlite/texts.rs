//! The statements that an SQLite file needs in its own words.

use const_format::formatcp;

use crate::ledger::driver::SqlTexts;
use crate::ledger::state::stage::{BUILDING, READY};

pub(super) const TEXTS: SqlTexts = SqlTexts {
    lease_is_held: |lease| format!("lease_number = {lease}"),
    broadcasts: "SELECT b.*, a.key AS app_key, o.name AS owner_name, o.pid AS owner_pid, o.lock AS owner_lock
        FROM broadcasts b JOIN apps a ON a.id = b.app LEFT JOIN instances o ON o.id = b.owner ",
    renew_lease: "UPDATE broadcasts SET lease_until = ?, lease_for = ? WHERE id = ? AND lease_number = ?",
    // A broadcast has one driver.
    not_of_other_drivers: "? IS NULL OR true",
    delete_old_status: "DELETE FROM driver_status WHERE broadcast = ?1 AND driver <> ?2",
    driver_statuses: formatcp!("SELECT s.broadcast, s.status FROM driver_status s
        JOIN broadcasts b ON b.id = s.broadcast AND b.lease_number = s.driver AND b.state IN ({BUILDING}, {READY})
        WHERE (?1 IS NULL OR s.broadcast = ?1) ORDER BY s.broadcast"),
    file_urls: "json_extract(m.content, '$.body.url'), json_extract(m.content, '$.body.thumb')",
    message_sender: "json_extract(m.content, '$.from')",
    file_url_rows: "SELECT broadcast, id, json_extract(content, '$.body.url') AS url FROM messages
        UNION ALL SELECT broadcast, id, json_extract(content, '$.body.thumb') AS url FROM messages",
    upload_url: "json_extract(file, '$.url')",
    replace_file: [
        "UPDATE messages SET content = CASE WHEN ?2 IS NULL THEN json_remove(json_set(content, '$.body.url', ?1), '$.body.secret')
            ELSE json_set(content, '$.body.url', ?1, '$.body.secret', ?2) END
            WHERE broadcast = ?3 AND json_extract(content, '$.body.url') = ?4",
        "UPDATE messages SET content = CASE WHEN ?2 IS NULL THEN json_remove(json_set(content, '$.body.thumb', ?1), '$.body.thumb_secret')
            ELSE json_set(content, '$.body.thumb', ?1, '$.body.thumb_secret', ?2) END
            WHERE broadcast = ?3 AND json_extract(content, '$.body.thumb') = ?4",
    ],
    lock_app: None,
    by_bytes: "",
    columns: "SELECT t.name AS table_name, c.name, c.type AS kind, c.pk AS key_place
        FROM sqlite_schema t CROSS JOIN pragma_table_info(t.name) c WHERE t.type = 'table'",
    // No two writes run at once.
    key_share: "",
    last_id: "SELECT seq FROM sqlite_sequence WHERE name = ?",
    wait_longer: None,
};
