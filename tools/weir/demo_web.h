/* SPDX-License-Identifier: MIT */
#ifndef WEIR_DEMO_WEB_H
#define WEIR_DEMO_WEB_H

#include <weir/service.h>

/* Answers every HTTP/1.1 request without a body with one small page. NULL when memory is out. */
struct weir_service *demo_web_service(void);

#endif
