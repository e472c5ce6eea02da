#include "api/clew_names.h"

#include <algorithm>
#include <array>
#include <string>
#include <utility>
#include <vector>

#include "api/clew_request.h"
#include "api/field_values.h"
#include "api/json_writer.h"

namespace clew::api {
namespace {

constexpr std::array<std::string_view, 5> kParameters = {"of", "service", "key", "text", "limit"};

struct Asked {
  std::string of, service, key;
  uint32_t limit = kDefaultNames;
  // One more than is told: whether there are more.
  store::NameFilter wanted;
};

Result<Asked> read_asked(const HttpRequest& request) {
  CLEW_TRY(check_parameters(request, kParameters));
  const QueryParams& params = request.params();
  Asked asked;
  asked.of = params.get("of").value_or("");
  asked.service = params.get("service").value_or("");
  asked.key = params.get("key").value_or("");
  CLEW_ASSIGN(asked.limit, limit_param(request, "limit", kDefaultNames, kMaxNames));
  asked.wanted = {.text = params.get("text").value_or(""), .most = asked.limit + size_t{1}};
  return asked;
}

HttpResponse names_reply(std::vector<std::string> names, uint32_t limit) {
  const bool truncated = names.size() > limit;
  if (truncated) names.resize(limit);
  std::string body;
  JsonWriter json(body);
  json.open_object().key("names").open_array();
  for (const std::string& name : names) json.text(name);
  json.close_array().key("truncated").boolean(truncated).close_object();
  return json_response(std::move(body));
}

UniqueFunction<void(Result<store::Vocabulary>)> tell(uint32_t limit, HttpDone done) {
  return [limit, done = std::move(done)](Result<store::Vocabulary> found) mutable {
    done(found.ok() ? names_reply(std::move(found->values), limit) : clew_failure(found.error()));
  };
}

void values(const QueryDeps& deps, model::TenantId tenant, Asked asked, HttpDone done) {
  auto field = field_values(asked.key);
  if (!field.ok()) return done(clew_failure(field.error()));
  if (field->fixed) {
    std::erase_if(*field->fixed, [&](const std::string& word) { return !asked.wanted.fits(word); });
    return done(names_reply(std::move(*field->fixed), asked.limit));
  }
  deps.queries.values(tenant, field->field, std::move(field->key), std::move(asked.wanted),
                      tell(asked.limit, std::move(done)));
}

void operations(const QueryDeps& deps, model::TenantId tenant, Asked asked, HttpDone done) {
  // A name is told once, whatever kinds of spans have it.
  auto wanted = asked.wanted;
  wanted.most *= 2;
  deps.queries.operations(tenant, std::move(asked.service), std::move(wanted),
                          [limit = asked.limit, done = std::move(done)](
                              Result<std::vector<cluster::QueryService::Operation>> found) mutable {
                            if (!found.ok()) return done(clew_failure(found.error()));
                            std::vector<std::string> names;
                            for (auto& operation : *found) names.push_back(std::move(operation.name));
                            names.erase(std::unique(names.begin(), names.end()), names.end());
                            done(names_reply(std::move(names), limit));
                          });
}

void names(const QueryDeps& deps, const RequestPtr& request, HttpDone done) {
  auto asked = read_asked(*request);
  if (!asked.ok()) return done(clew_failure(asked.error()));
  const model::TenantId tenant = model::tenant_id(request->tenant);
  const uint32_t limit = asked->limit;
  if (asked->of == "services")
    return deps.queries.services(tenant, INT64_MIN, INT64_MAX, std::move(asked->wanted), tell(limit, std::move(done)));
  if (asked->of == "keys")
    return deps.queries.keys(tenant, store::Field::kAny, std::move(asked->wanted), tell(limit, std::move(done)));
  if (asked->of == "operations") return operations(deps, tenant, std::move(*asked), std::move(done));
  if (asked->of == "values") return values(deps, tenant, std::move(*asked), std::move(done));
  done(clew_failure({Code::kInvalidArgument, "parameter 'of' must be services, operations, keys or values"}));
}

}  // namespace

void add_clew_name_routes(HttpRouter& router, const QueryDeps& deps) {
  router.add("GET", "/clew/v1/names",
             [deps](const RequestPtr& request, HttpDone done) { names(deps, request, std::move(done)); });
}

}  // namespace clew::api
