/** A backend of somebody else: plain Java, one number after another. */
module com.example.parallelcomp.scalar {
  requires org.parallelcomp.api;

  provides org.parallelcomp.api.backend.BackendProvider with
      com.example.parallelcomp.ScalarBackendProvider;
}
