COMMENT ON FUNCTION mentalspace.module_version() IS 'version that the loaded library was built as, or, where the flavour has no library, that the script was made for';
