/*
 * schema - what the index holds. Tables are ours and change with SCHEMA_VERSION; what users may ask are
 * the views made of them (index/views.h). Nothing is migrated: an index of another version is made
 * anew.
 */
#ifndef INDEX_SCHEMA_H
#define INDEX_SCHEMA_H

#define SCHEMA_VERSION 1 /* in the user_version of the file */

/* Tables and their indexes. */
extern const char schema_sql[];

#endif
