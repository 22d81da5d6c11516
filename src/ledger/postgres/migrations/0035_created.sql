ALTER TABLE access_tokens RENAME COLUMN made_at TO created_at;
