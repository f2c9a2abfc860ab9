# The regression tests on the trusted flavour, as a NOSUPERUSER role with CREATEROLE that owns the database.
. "$MS_TOP/test/lib/stage.sh"
. "$MS_TOP/test/lib/regress.sh"
ms_regress trusted
ms_done
