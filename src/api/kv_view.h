// GET /api/clew/kv: the users' key-value space, read only, for the page and for curl; docs/apis.md has the shapes.
//   ?prefix=&delimiter=&from=&limit=&revision=&consistency=   the keys below a prefix, without their values
//   ?key=&bytes=&revision=&consistency=                       one key with (the beginning of) its value
//
// With a `delimiter` keys that have it behind the prefix are told as the folder that they stand in, once, as object
// stores list them. A page is read in steps at one revision, each of at most kStepKeys keys; a folder is stepped over
// by one read, however much it holds. A page ends after kMaxSteps reads at the latest, with what it has, and says where
// to go on: so neither many keys nor many folders can make one request long.
//
// Bytes that are UTF-8 stand as text under their name, others as base64 under the name with "Base64".
// Any thread; `service` outlives the router. Who may query any tenant may read all keys: they are the cluster's.
#pragma once

#include <cstdint>

#include "api/http_router.h"
#include "control/service.h"

namespace clew::api {

constexpr uint32_t kKvDefaultKeys = 100;
constexpr uint32_t kKvMaxKeys = 500;
constexpr int64_t kKvStepKeys = 64;
constexpr uint32_t kKvMaxSteps = 200;
constexpr size_t kKvMaxListBytes = 1u << 20;         // of keys in a page; the page ends with the one that passes it
constexpr uint32_t kKvDefaultValueBytes = 64 << 10;  // of the value that is told
constexpr uint32_t kKvMaxValueBytes = 256 << 10;

void add_kv_routes(HttpRouter& router, control::Service& service);

}  // namespace clew::api
