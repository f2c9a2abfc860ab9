COMMENT ON FUNCTION url_encode(bytea) IS 'base64url without padding (RFC 4648 section 5)';
COMMENT ON FUNCTION url_decode(text) IS 'bytes of base64url without padding; error 22023 for anything else';
COMMENT ON FUNCTION algorithm_sign(text, text, text) IS 'HMAC of a text by HS256, HS384 or HS512, as base64url';
COMMENT ON FUNCTION sign(json, text, text) IS 'JSON Web Token (RFC 7519) with this payload; exp and nbf must be numbers, the secret not empty';
COMMENT ON FUNCTION verify(text, text, text) IS 'header and payload of a token, and whether it is signed with this secret by this algorithm and valid now; header and payload mean nothing unless valid is true';
