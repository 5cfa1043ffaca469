package org.parallelcomp.engine.registry;

import java.io.IOException;
import java.lang.module.Configuration;
import java.lang.module.FindException;
import java.lang.module.ModuleFinder;
import java.lang.module.ModuleReference;
import java.lang.module.ResolutionException;
import java.net.MalformedURLException;
import java.net.URL;
import java.net.URLClassLoader;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.ServiceConfigurationError;
import java.util.ServiceLoader;
import java.util.Set;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.parallelcomp.api.error.ErrorCode;
import org.parallelcomp.api.error.InferenceException;
import org.parallelcomp.api.policy.PolicyProvider;

/**
 * The policy providers of the jars in a folder. On the module path they become a module layer of
 * their own above that of the API; on the class path, a class loader of their own. They stay loaded
 * as long as the process lives.
 */
final class Plugins {
  private Plugins() {}

  /**
   * Returns the providers of a folder's jars.
   *
   * @throws InferenceException FILE_NOT_READABLE if there is no such folder, INVALID_ARGUMENT if
   *     its jars cannot be loaded
   */
  static List<PolicyProvider> load(Path folder) {
    List<Path> jars = jars(folder);
    if (jars.isEmpty()) {
      return List.of();
    }
    ModuleLayer layer = PolicyProvider.class.getModule().getLayer();
    try {
      return layer == null ? onClassPath(jars) : onModulePath(layer, jars);
    } catch (FindException
        | ResolutionException
        | LayerInstantiationException
        | ServiceConfigurationError
        | MalformedURLException e) {
      throw new InferenceException(
          ErrorCode.INVALID_ARGUMENT,
          "The plugins in " + folder + " cannot be loaded: " + e.getMessage() + ".",
          e);
    }
  }

  private static List<Path> jars(Path folder) {
    try (Stream<Path> files = Files.list(folder)) {
      return files.filter(file -> file.toString().endsWith(".jar")).sorted().toList();
    } catch (IOException e) {
      throw new InferenceException(
          ErrorCode.FILE_NOT_READABLE, "The plugins folder " + folder + " cannot be read.", e);
    }
  }

  private static List<PolicyProvider> onModulePath(ModuleLayer parent, List<Path> jars) {
    ModuleFinder finder = ModuleFinder.of(jars.toArray(Path[]::new));
    Set<String> names =
        finder.findAll().stream()
            .map(ModuleReference::descriptor)
            .map(descriptor -> descriptor.name())
            .collect(Collectors.toSet());
    Configuration resolved =
        parent.configuration().resolveAndBind(finder, ModuleFinder.of(), names);
    ModuleLayer layer =
        parent.defineModulesWithOneLoader(resolved, PolicyProvider.class.getClassLoader());
    return instances(ServiceLoader.load(layer, PolicyProvider.class), null, layer);
  }

  private static List<PolicyProvider> onClassPath(List<Path> jars) throws MalformedURLException {
    var urls = new ArrayList<URL>();
    for (Path jar : jars) {
      urls.add(jar.toUri().toURL());
    }
    var loader =
        new URLClassLoader(urls.toArray(URL[]::new), PolicyProvider.class.getClassLoader());
    return instances(ServiceLoader.load(PolicyProvider.class, loader), loader, null);
  }

  /** A service loader also finds what is there without the plugins; that is left out. */
  private static List<PolicyProvider> instances(
      ServiceLoader<PolicyProvider> services,
      @Nullable ClassLoader loader,
      @Nullable ModuleLayer layer) {
    return services.stream()
        .filter(
            provider ->
                layer == null
                    ? provider.type().getClassLoader() == loader
                    : provider.type().getModule().getLayer() == layer)
        .map(ServiceLoader.Provider::get)
        .toList();
  }
}
