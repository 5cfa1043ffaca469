package org.parallelcomp.engine.registry;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.ServiceConfigurationError;
import java.util.ServiceLoader;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;
import org.parallelcomp.api.backend.Availability;
import org.parallelcomp.api.backend.Backend;
import org.parallelcomp.api.backend.BackendConfig;
import org.parallelcomp.api.backend.BackendProvider;
import org.parallelcomp.api.error.ErrorCode;
import org.parallelcomp.api.error.InferenceException;
import org.parallelcomp.api.error.Names;
import org.parallelcomp.engine.BackendStatus;

/** The backends that ServiceLoader finds, and the choice among them. */
public final class BackendRegistry {
  private static final System.Logger LOG = System.getLogger(BackendRegistry.class.getName());

  private record Found(BackendProvider provider, BackendStatus status) {}

  private final List<Found> found;

  private BackendRegistry(List<Found> found) {
    this.found = found;
  }

  /**
   * Finds and probes every backend.
   *
   * @throws InferenceException INTERNAL if two share an id or one cannot be instantiated
   */
  public static BackendRegistry discover() {
    var found = new ArrayList<Found>();
    try {
      for (BackendProvider provider : ServiceLoader.load(BackendProvider.class)) {
        String origin = Origins.of(provider.getClass());
        for (Found other : found) {
          if (other.provider.id().equals(provider.id())) {
            throw new InferenceException(
                ErrorCode.INTERNAL,
                "Two backends are named '"
                    + provider.id()
                    + "': in "
                    + other.status.origin()
                    + " and in "
                    + origin
                    + ".");
          }
        }
        found.add(
            new Found(
                provider,
                new BackendStatus(provider.id(), provider.summary(), probe(provider), origin)));
      }
    } catch (ServiceConfigurationError e) {
      throw new InferenceException(
          ErrorCode.INTERNAL, "A backend cannot be loaded: " + e.getMessage() + ".", e);
    }
    found.sort(Comparator.comparingInt((Found f) -> -score(f)).thenComparing(f -> f.provider.id()));
    return new BackendRegistry(List.copyOf(found));
  }

  /** A probe must not throw; one that does all the same must not hide the other backends. */
  private static Availability probe(BackendProvider provider) {
    try {
      return provider.probe();
    } catch (RuntimeException | LinkageError e) {
      LOG.log(System.Logger.Level.DEBUG, () -> "The probe of " + provider.id() + " failed.", e);
      Module module = provider.getClass().getModule();
      return new Availability.Unusable(
          List.of(
              isDeniedNativeAccess(e)
                  ? new Availability.Reason(
                      "it may not call native code",
                      "start java with --enable-native-access="
                          + (module.isNamed() ? module.getName() : "ALL-UNNAMED"))
                  : new Availability.Reason(
                      "its probe failed: " + e, "report this to the backend's authors")));
    }
  }

  /** Where a class could not be initialised for it, later failures tell the cause in words only. */
  private static boolean isDeniedNativeAccess(Throwable failure) {
    for (Throwable cause = failure; cause != null; cause = cause.getCause()) {
      if (cause.toString().contains(IllegalCallerException.class.getName())) {
        return true;
      }
    }
    return false;
  }

  private static int score(Found found) {
    return found.status.availability() instanceof Availability.Usable usable ? usable.score() : 0;
  }

  /** Returns every backend, usable or not, best first. */
  public List<BackendStatus> statuses() {
    return found.stream().map(Found::status).toList();
  }

  /**
   * Opens a backend.
   *
   * @param id its id, or null for the usable one with the highest score
   * @throws InferenceException UNKNOWN_NAME or BACKEND_UNAVAILABLE; an explicit choice never falls
   *     back
   */
  public Backend open(@Nullable String id, BackendConfig config) {
    Found chosen = id == null ? best() : byId(id);
    if (chosen.status.availability() instanceof Availability.Unusable unusable) {
      throw new InferenceException(
          ErrorCode.BACKEND_UNAVAILABLE,
          "Backend " + chosen.status.id() + " cannot run here: " + reasons(unusable) + ".");
    }
    LOG.log(
        System.Logger.Level.DEBUG,
        () -> "Backend " + chosen.status + " chosen among " + statuses() + ".");
    return chosen.provider.open(config);
  }

  private Found best() {
    return found.stream()
        .filter(f -> f.status.availability() instanceof Availability.Usable)
        .findFirst()
        .orElseThrow(
            () ->
                new InferenceException(
                    ErrorCode.BACKEND_UNAVAILABLE,
                    found.isEmpty()
                        ? "No backend was found; put one on the module path, such as"
                            + " parallelcomp-backend-cpu-vector."
                        : "No backend can run here: "
                            + found.stream()
                                .map(f -> f.status.id() + ": " + describe(f.status.availability()))
                                .collect(Collectors.joining("; ", "", "."))));
  }

  private Found byId(String id) {
    return found.stream()
        .filter(f -> f.provider.id().equals(id))
        .findFirst()
        .orElseThrow(
            () -> Names.unknown("backend", id, found.stream().map(f -> f.status.id()).toList()));
  }

  private static String describe(Availability availability) {
    return switch (availability) {
      case Availability.Usable usable -> usable.description();
      case Availability.Unusable unusable -> reasons(unusable);
    };
  }

  private static String reasons(Availability.Unusable unusable) {
    return unusable.reasons().stream()
        .map(reason -> reason.cause() + " (" + reason.remedy() + ")")
        .collect(Collectors.joining("; "));
  }
}
