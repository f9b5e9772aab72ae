/*
 * schema - what the index holds, and what of it 'thhost query' shows.
 *
 * Tables are ours and change with SCHEMA_VERSION; the views are promised to users and documented in
 * thhost-query(1), column by column. Nothing is migrated: an index of another version is made anew.
 */
#ifndef INDEX_SCHEMA_H
#define INDEX_SCHEMA_H

#define SCHEMA_VERSION 1 /* in the user_version of the file */

/* Tables, their indexes, and the views. */
extern const char schema_sql[];

/* The names of the views, and what else a query may read ("json_each", "json_tree"); ended by NULL. */
extern const char *const schema_views[];

#endif
