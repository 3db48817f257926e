CREATE TABLE once (id TEXT PRIMARY KEY, n INTEGER, bytes BLOB, json TEXT);
INSERT INTO once (id) VALUES ('there');
