-- Which instance of each kind's system serves a site: {"telephony": "london"}; main where none is named.

ALTER TABLE sites ADD COLUMN systems jsonb NOT NULL DEFAULT '{}';
