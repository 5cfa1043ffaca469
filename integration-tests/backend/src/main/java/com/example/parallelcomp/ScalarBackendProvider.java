package com.example.parallelcomp;

import java.util.List;
import org.parallelcomp.api.backend.Availability;
import org.parallelcomp.api.backend.Backend;
import org.parallelcomp.api.backend.BackendConfig;
import org.parallelcomp.api.backend.BackendProvider;
import org.parallelcomp.api.error.Names;

/** Offers the backend. Before {@link #open} nothing is taken and nothing is computed. */
public final class ScalarBackendProvider implements BackendProvider {
  @Override
  public String id() {
    return "scalar";
  }

  @Override
  public String summary() {
    return "plain Java, one number after another";
  }

  @Override
  public Availability probe() {
    return new Availability.Usable(1, "plain Java on the calling thread");
  }

  @Override
  public Backend open(BackendConfig config) {
    for (String option : config.options().keySet()) {
      throw Names.unknown("option", option, List.of());
    }
    return new ScalarBackend();
  }
}
