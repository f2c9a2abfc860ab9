# mentalspace: the product build (PGXS).  `make help` lists what one can ask for.
#
#   make                 the module and the install scripts of the native flavour
#   make install         into the server that PG_CONFIG names (DESTDIR is honoured)
#   make install COMPANIONS="pgjwt http"   only these companion extensions (see docs/companions.md); default: all
#   make FLAVOR=trusted  the SQL-only flavour, in dist/; with `install`, as extensions that need no superuser
#   make pgtle           the same, wrapped for pg_tle, in dist/
#   make demo, make check, make check-all   see test/demo and test/check

# The control file is the only place that holds the version.
EXTVERSION := $(shell sed -n "s/^default_version = '\(.*\)'/\1/p" $(dir $(firstword $(MAKEFILE_LIST)))mentalspace.control)
PG_CONFIG ?= pg_config

# `make demo` and `make check` must work before PostgreSQL is installed: they do not need PGXS.
ifneq (,$(filter demo check check-all help,$(MAKECMDGOALS)))

demo:
	@test/demo
check:
	@test/check
check-all:
	@test/check --all
help:
	@sed -n 's/^#   //p' $(firstword $(MAKEFILE_LIST))
.PHONY: demo check check-all help

else

FLAVOR ?= native
top := $(patsubst %/,%,$(dir $(firstword $(MAKEFILE_LIST))))

# The install script, and the update scripts: each folder src/sql/updates/FROM--TO holds one in parts, with a manifest.
updates := $(notdir $(patsubst %/manifest,%,$(wildcard $(top)/src/sql/updates/*/manifest)))
scripts := $(patsubst %,mentalspace--%.sql,$(EXTVERSION) $(updates))
script_sources := $(top)/mentalspace.control $(shell find $(top)/src/sql -type f)
# Companion extensions, each a folder of src/companions with a control file.
COMPANIONS ?= $(sort $(notdir $(basename $(wildcard $(top)/src/companions/*/*.control))))

# mentalspace-migrate: a program of its own, on libpq.
migrate_sources = $(wildcard $(top)/src/migrate/*.cpp $(top)/src/core/sql_*.cpp)
# mentalspace-outbox: the same, on libpq and libcurl; made where libcurl's headers are.
outbox_sources = $(wildcard $(top)/src/outbox/*.cpp)

EXTRA_CLEAN = sql-build dist build bin/mentalspace-migrate bin/mentalspace-outbox $(OBJS:.o=.d)

ifeq ($(FLAVOR),native)

built = sql-build
EXTENSION = mentalspace
MODULE_big = mentalspace
OBJS = $(patsubst $(top)/%.cpp,%.o,$(filter-out $(migrate_sources) $(outbox_sources),$(sort $(shell find $(top)/src -name '*.cpp'))))
DATA_built = $(addprefix $(built)/,$(scripts))

PG_CPPFLAGS = -I$(top)/src -isystem $(shell $(PG_CONFIG) --includedir-server) -DMS_VERSION='"$(EXTVERSION)"'
PG_CXXFLAGS = -std=c++20 -Wall -Wextra -Werror -fno-math-errno -MMD -MP $(MS_CXXFLAGS)
# PGXS links with the C compiler, so the C++ runtime is named here.
SHLIB_LINK = -lcrypto -lstdc++ -Wl,--version-script=$(top)/src/mentalspace.map -Wl,-z,relro,-z,now $(MS_LDFLAGS)
# The bitcode rule ignores PG_CXXFLAGS, and a module of hooks gains nothing from inlining.
override with_llvm := no

else ifeq ($(FLAVOR),trusted)

built = dist
# PGXS would install the control file of the native flavour if it were told of an EXTENSION.
MODULEDIR = extension
DATA_built = $(addprefix $(built)/,mentalspace.control $(scripts))

else
$(error FLAVOR is native or trusted)
endif

PGXS := $(shell $(PG_CONFIG) --pgxs)
include $(PGXS)

sql-build/mentalspace--%.sql: $(script_sources)
	@mkdir -p $(@D)
	$(top)/src/sql/assemble native mentalspace $* > $@

dist/mentalspace--%.sql: $(script_sources)
	@mkdir -p $(@D)
	$(top)/src/sql/assemble trusted mentalspace $* > $@

dist/mentalspace.control: $(script_sources)
	@mkdir -p $(@D)
	$(top)/src/sql/assemble trusted mentalspace control > $@

# The companions' control files and install scripts.  Installed where the server has no extension of that name.
all: $(built)/companions/made
%/companions/made: $(top)/mentalspace.control $(top)/src/sql/assemble $(shell find $(top)/src/companions -type f -not -name '*.cpp')
	@rm -rf $(@D) && mkdir -p $(@D)
	@set -e; for control in $(top)/src/companions/*/*.control; do name=$$(basename $$control .control); \
		grep -qw $(FLAVOR) $(top)/src/companions/$$name/manifest || continue; \
		$(top)/src/sql/assemble $(FLAVOR) $$name control > $(@D)/$$name.control; \
		$(top)/src/sql/assemble $(FLAVOR) $$name > $(@D)/$$name--$(EXTVERSION)-mentalspace.sql; done
	@touch $@

companions_env = SHAREDIR='$(datadir)/extension' DESTDIR='$(DESTDIR)' FORCE_COMPANIONS='$(FORCE_COMPANIONS)'
install: install-companions
install-companions: all installdirs
	@$(companions_env) $(top)/src/companions/install $(built)/companions $(COMPANIONS)
uninstall: uninstall-companions
uninstall-companions:
	@$(companions_env) $(top)/src/companions/install --remove $(COMPANIONS)
.PHONY: install-companions uninstall-companions

migrate_objects = $(patsubst $(top)/src/%.cpp,build/migrate/%.o,$(migrate_sources))
all: bin/mentalspace-migrate
bin/mentalspace-migrate: $(migrate_objects)
	@mkdir -p $(@D)
	$(CXX) $(MS_CXXFLAGS) -o $@ $^ -L$(shell $(PG_CONFIG) --libdir) -lpq $(MS_LDFLAGS)
build/migrate/%.o: $(top)/src/%.cpp $(wildcard $(top)/src/migrate/*.h $(top)/src/core/sql_*.h) $(top)/mentalspace.control
	@mkdir -p $(@D)
	$(CXX) -std=c++20 -O2 -Wall -Wextra -Werror $(MS_CXXFLAGS) -I$(top)/src -isystem $(shell $(PG_CONFIG) --includedir) \
		-DMS_VERSION='"$(EXTVERSION)"' -c -o $@ $<
install: install-tools
install-tools: all
	$(MKDIR_P) '$(DESTDIR)$(bindir)'
	$(INSTALL_PROGRAM) bin/mentalspace-migrate '$(DESTDIR)$(bindir)/'
uninstall: uninstall-tools
uninstall-tools:
	rm -f '$(DESTDIR)$(bindir)/mentalspace-migrate'
.PHONY: install-tools uninstall-tools

ifeq ($(FLAVOR)$(if $(shell command -v curl-config),-curl),native-curl)
all: bin/mentalspace-outbox
bin/mentalspace-outbox: $(outbox_sources) $(wildcard $(top)/src/outbox/*.h) $(top)/mentalspace.control
	@mkdir -p $(@D)
	$(CXX) -std=c++20 -O2 -Wall -Wextra -Werror $(MS_CXXFLAGS) -I$(top)/src -isystem $(shell $(PG_CONFIG) --includedir) \
		-DMS_VERSION='"$(EXTVERSION)"' -o $@ $(outbox_sources) -L$(shell $(PG_CONFIG) --libdir) -lpq \
		$(shell curl-config --libs) $(MS_LDFLAGS)
install: install-outbox
install-outbox: all
	$(MKDIR_P) '$(DESTDIR)$(bindir)'
	$(INSTALL_PROGRAM) bin/mentalspace-outbox '$(DESTDIR)$(bindir)/'
uninstall: uninstall-outbox
uninstall-outbox:
	rm -f '$(DESTDIR)$(bindir)/mentalspace-outbox'
.PHONY: install-outbox uninstall-outbox
endif

ifeq ($(FLAVOR),native)
# The compiler writes what each object includes beside it.
-include $(OBJS:.o=.d)
$(OBJS): $(top)/mentalspace.control
$(shlib): $(top)/src/mentalspace.map

pgtle:
	$(MAKE) -f $(firstword $(MAKEFILE_LIST)) FLAVOR=trusted pgtle
else
pgtle: $(DATA_built) $(built)/companions/made
	@set -e; for script in $(addprefix dist/,$(scripts)) dist/companions/*.sql; do \
		$(top)/src/sql/pgtle $$script > dist/$$(basename $$script .sql).pgtle.sql; done
	@ls dist/*.pgtle.sql
endif
.PHONY: pgtle

endif
