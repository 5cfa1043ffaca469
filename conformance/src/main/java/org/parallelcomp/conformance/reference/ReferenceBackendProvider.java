package org.parallelcomp.conformance.reference;

import java.util.List;
import org.parallelcomp.api.backend.Availability;
import org.parallelcomp.api.backend.Backend;
import org.parallelcomp.api.backend.BackendConfig;
import org.parallelcomp.api.backend.BackendProvider;
import org.parallelcomp.api.error.Names;

/** Opens the oracle as any other backend. It is not registered as a service. */
public final class ReferenceBackendProvider implements BackendProvider {
  /** Creates the provider. */
  public ReferenceBackendProvider() {}

  @Override
  public String id() {
    return "reference";
  }

  @Override
  public String summary() {
    return "Plain loops in double precision, the oracle of the conformance kit";
  }

  @Override
  public Availability probe() {
    return new Availability.Usable(1, "plain Java on one thread");
  }

  @Override
  public Backend open(BackendConfig config) {
    for (String option : config.options().keySet()) {
      throw Names.unknown("option", option, List.of());
    }
    return new ReferenceBackend();
  }
}
