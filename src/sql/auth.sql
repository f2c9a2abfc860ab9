-- What both flavours say of auth.uid() and its siblings.
GRANT EXECUTE ON FUNCTION auth.uid(), auth.role(), auth.email(), auth.jwt() TO PUBLIC;
ALTER FUNCTION auth.uid() OWNER TO CURRENT_USER;
ALTER FUNCTION auth.role() OWNER TO CURRENT_USER;
ALTER FUNCTION auth.email() OWNER TO CURRENT_USER;
ALTER FUNCTION auth.jwt() OWNER TO CURRENT_USER;
COMMENT ON FUNCTION auth.uid() IS 'id of the signed-in user: claim sub of the request''s token (RFC 7519), NULL where there is none';
COMMENT ON FUNCTION auth.role() IS 'claim role of the request''s token, NULL where there is none';
COMMENT ON FUNCTION auth.email() IS 'claim email of the request''s token, NULL where there is none';
COMMENT ON FUNCTION auth.jwt() IS 'all claims of the request''s token, NULL where there are none';
