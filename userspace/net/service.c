/* SPDX-License-Identifier: MIT */
/*
 * Stacks of services and of connectors, and the connection that goes through them.
 */

#include <weir/connector.h>
#include <weir/service.h>

void weir_service_drain(struct weir_service *svc)
{
	for (; svc; svc = svc->inner) {
		if (svc->ops->drain)
			svc->ops->drain(svc);
	}
}

bool weir_service_resumes(const struct weir_service *svc)
{
	while (svc && svc->ops->resumes)
		svc = svc->inner;
	return !svc;
}

bool weir_service_connects(const struct weir_service *svc)
{
	while (svc && !svc->ops->connects)
		svc = svc->inner;
	return svc;
}

void weir_service_free(struct weir_service *svc)
{
	while (svc) {
		struct weir_service *inner = svc->inner;

		svc->ops->free(svc);
		svc = inner;
	}
}

void weir_connector_free(struct weir_connector *connector)
{
	while (connector) {
		struct weir_connector *inner = connector->inner;

		connector->ops->free(connector);
		connector = inner;
	}
}

const struct weir_address *weir_conn_local(struct weir_conn *conn)
{
	if (conn->local.size == 0)
		conn->local = *weir_stream_local(conn->stream);
	return &conn->local;
}

void weir_conn_abort(struct weir_conn *conn)
{
	weir_stream_abort(conn->stream);
}
