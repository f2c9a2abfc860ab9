COMMENT ON FUNCTION mentalspace.has_role(uuid, text) IS 'whether a user has a role; false where there is no source of roles';
COMMENT ON FUNCTION mentalspace.has_role(text) IS 'whether the signed-in user has a role';
COMMENT ON FUNCTION mentalspace.has_any_role(text[]) IS 'whether the signed-in user has one of these roles';
COMMENT ON FUNCTION mentalspace.roles() IS 'the roles of the signed-in user; empty where there are none';
