-- auth.uid() and its siblings with no claims set: the rest of the cases follows.
CREATE EXTENSION mentalspace;
SELECT auth.uid() IS NULL AS uid, auth.role() IS NULL AS role, auth.email() IS NULL AS email, auth.jwt() IS NULL AS jwt;
