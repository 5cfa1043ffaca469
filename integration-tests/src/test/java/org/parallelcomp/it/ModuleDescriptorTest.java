package org.parallelcomp.it;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;

import java.io.IOException;
import java.io.InputStream;
import java.lang.module.ModuleDescriptor;
import java.lang.module.ModuleFinder;
import java.lang.module.ModuleReference;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Collection;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * What each jar says of itself, as {@code jar --describe-module} shows it, is what was written
 * down: a package that becomes public by accident, or one that vanishes, is a change of contract.
 */
@Tag("packaged")
class ModuleDescriptorTest {
  private static final Path GOLDENS = Path.of("src/test/resources/module-descriptors");
  private static final String SUFFIX = ".expected.txt";
  private static final String REGENERATE = "moduleDescriptors.write";

  static Set<String> artifacts() {
    return Artifacts.jars().keySet();
  }

  @ParameterizedTest
  @MethodSource("artifacts")
  void isAsItWasWrittenDown(String artifact) throws IOException {
    Path golden = GOLDENS.resolve(artifact + SUFFIX);
    String described = describe(Artifacts.jars().get(artifact));
    if (Boolean.getBoolean(REGENERATE)) {
      Files.writeString(golden, described);
    }
    String hint = "; if that is meant, run 'mvn verify -D" + REGENERATE + "=true' and commit it";
    assertEquals(
        Files.exists(golden) ? Files.readString(golden) : "",
        described,
        golden + " differs" + hint);
  }

  @Test
  void everyWrittenDescriptorHasItsJar() throws IOException {
    try (Stream<Path> goldens = Files.list(GOLDENS)) {
      assertEquals(
          artifacts(),
          goldens
              .map(file -> file.getFileName().toString().replace(SUFFIX, ""))
              .collect(Collectors.toCollection(TreeSet::new)));
    }
  }

  /** What is provided on the module path must be offered on the class path too. */
  @ParameterizedTest
  @MethodSource("artifacts")
  void servicesOnTheClassPathAreThoseOnTheModulePath(String artifact) throws IOException {
    ModuleReference reference = module(Artifacts.jars().get(artifact));
    try (var content = reference.open()) {
      for (ModuleDescriptor.Provides provided : reference.descriptor().provides()) {
        InputStream stream = content.open("META-INF/services/" + provided.service()).orElse(null);
        assertNotNull(stream, artifact + " has no service file for " + provided.service());
        try (stream) {
          List<String> lines =
              new String(stream.readAllBytes(), StandardCharsets.UTF_8)
                  .lines()
                  .filter(line -> !line.isBlank() && !line.startsWith("#"))
                  .toList();
          assertEquals(provided.providers(), lines, artifact + ": " + provided.service());
        }
      }
    }
  }

  private static ModuleReference module(Path jar) {
    Set<ModuleReference> found = ModuleFinder.of(jar).findAll();
    assertEquals(1, found.size(), jar + " is no modular jar");
    return found.iterator().next();
  }

  private static String describe(Path jar) {
    ModuleDescriptor module = module(jar).descriptor();
    var lines = new TreeSet<String>();
    module.requires().stream()
        // The version is that of the JDK which compiled it.
        .map(r -> "requires " + r.name() + words(r.modifiers()))
        .forEach(lines::add);
    module.exports().forEach(e -> lines.add("exports " + e.source() + to(e.targets())));
    module.opens().forEach(o -> lines.add("opens " + o.source() + to(o.targets())));
    module.uses().forEach(service -> lines.add("uses " + service));
    module
        .provides()
        .forEach(p -> lines.add("provides " + p.service() + " with " + sorted(p.providers())));
    Set<String> exported =
        module.exports().stream().map(ModuleDescriptor.Exports::source).collect(Collectors.toSet());
    module.packages().stream()
        .filter(name -> !exported.contains(name))
        .forEach(name -> lines.add("contains " + name));
    String title = (module.isAutomatic() ? "automatic module " : "module ") + module.name();
    return title + words(module.modifiers()) + "\n" + String.join("\n", lines) + "\n";
  }

  private static String words(Collection<? extends Enum<?>> modifiers) {
    return modifiers.stream()
        .map(modifier -> " " + modifier.name().toLowerCase(Locale.ROOT))
        .sorted()
        .collect(Collectors.joining());
  }

  private static String to(Set<String> targets) {
    return targets.isEmpty() ? "" : " to " + sorted(targets);
  }

  private static String sorted(Collection<String> names) {
    return names.stream().sorted().collect(Collectors.joining(", "));
  }

  @Test
  void noTwoJarsShareAModuleOrAPackage() {
    Map<String, List<String>> owners =
        Artifacts.jars().values().stream()
            .map(jar -> module(jar).descriptor())
            .flatMap(
                module -> module.packages().stream().map(name -> Map.entry(name, module.name())))
            .collect(
                Collectors.groupingBy(
                    Map.Entry::getKey,
                    Collectors.mapping(Map.Entry::getValue, Collectors.toList())));
    owners.values().removeIf(modules -> modules.size() == 1);
    assertEquals(Map.of(), owners, "packages that several modules hold");
  }
}
