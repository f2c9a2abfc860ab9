-- capabilities(): what this installation can do.  What depends on the flavour or on the server is not printed.
CREATE EXTENSION mentalspace;
SELECT capability, available IS NOT NULL AS answered, length(detail) > 5 AS explained FROM mentalspace.capabilities();
SELECT available, detail FROM mentalspace.capabilities() WHERE capability = 'component tests';
SELECT count(*) > 0 AS made FROM mentalspace.provision('{tests}');
SELECT available, detail FROM mentalspace.capabilities() WHERE capability = 'component tests';
-- anybody may ask
SET ROLE anon;
SELECT count(*) > 5 AS told FROM mentalspace.capabilities();
