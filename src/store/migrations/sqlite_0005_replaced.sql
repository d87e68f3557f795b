-- Which session took the place of one that ended, so that what is open in it lives on in the other.
ALTER TABLE session ADD COLUMN replaced_by BLOB;
