/*
 * list_metrics - the metrics of rows, kept until it is known which of them are columns.
 *
 *	list_metrics_pack(row, &out);			of each row
 *	list_metrics_look(&metrics, packed);		of each row in order: which names are there
 *	list_metrics_repack(&metrics, packed, &out);	of each row: the values of these names
 *	list_metrics_add_columns(&metrics, &columns);
 *	list_metrics_release(&metrics);
 */
#ifndef CLI_LIST_METRICS_H
#define CLI_LIST_METRICS_H
#include "app/listing.h"
#include "app/column.h"
#include "base/map.h"

struct list_metrics {
	size_t limit;	   /* no more names than that */
	struct strv names; /* of metrics that are numbers, as they were first met */
	struct map known;  /* of the same; once there, a name does not move */
};

#define LIST_METRICS_INIT                                                \
	{                                                                \
		.limit = SIZE_MAX, .names = STRV_INIT, .known = MAP_INIT \
	}

void list_metrics_release(struct list_metrics *metrics);
void list_metrics_pack(const struct listing_row *row, struct str *out);
void list_metrics_look(struct list_metrics *metrics, const char *packed);

/* One cell for each name (app/packed.h). */
void list_metrics_repack(const struct list_metrics *metrics, const char *packed, struct str *out);
void list_metrics_add_columns(const struct list_metrics *metrics, struct column_list *columns);

#endif
