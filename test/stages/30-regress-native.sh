# The regression tests on the native flavour, as superuser.
. "$MS_TOP/test/lib/stage.sh"
. "$MS_TOP/test/lib/regress.sh"
ms_regress native
ms_done
