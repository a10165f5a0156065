-- Further settings of entities and fields, as a JSON object. `options` of a field can be any JSON.
ALTER TABLE crm_entity ADD COLUMN settings TEXT NOT NULL DEFAULT '{}';
ALTER TABLE crm_field ADD COLUMN settings TEXT NOT NULL DEFAULT '{}';
