#pragma once
// Certificates for TLS tests, made on the spot in a folder of their own that goes with the object.

#include <filesystem>
#include <string>

namespace mlferry::test {

struct CertificateFiles {
  std::string certificate;
  std::string key;
};

class CertificateFolder {
 public:
  CertificateFolder();
  ~CertificateFolder();
  CertificateFolder(const CertificateFolder&) = delete;
  CertificateFolder& operator=(const CertificateFolder&) = delete;

  // An authority that signs itself.
  CertificateFiles authority(const std::string& name);
  // A certificate signed by `issuer`; `subject_names` as OpenSSL writes them: "DNS:localhost,IP:127.0.0.1".
  CertificateFiles issue(const CertificateFiles& issuer, const std::string& name,
                         const std::string& subject_names);
  // One file with certificate and key after each other.
  std::string joined(const CertificateFiles& files);
  const std::filesystem::path& path() const { return path_; }

 private:
  CertificateFiles make(const CertificateFiles* issuer, const std::string& name,
                        const std::string& subject_names);
  std::filesystem::path path_;
  int serial_ = 1;
};

}  // namespace mlferry::test
