-- Now they are made, or replaced in place.
SELECT mentalspace.restore_auth_functions(mentalspace.replaced_auth_functions());
