// What went wrong with TLS, in words that say whose certificate it was about and what to do. Pure; any thread.
#pragma once

#include <boost/system/error_code.hpp>
#include <string>

namespace clew::os {

// Of an error of the category asio.ssl: what one side saw, or was told by the other. "" for other errors.
std::string tls_words(const boost::system::error_code& error);
// Of a certificate that was shown here and is not accepted: `result` is X509_verify_cert's.
std::string certificate_words(long result);

}  // namespace clew::os
