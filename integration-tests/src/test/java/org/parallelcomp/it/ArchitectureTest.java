package org.parallelcomp.it;

import static com.tngtech.archunit.base.DescribedPredicate.not;
import static com.tngtech.archunit.core.domain.JavaClass.Predicates.belongToAnyOf;
import static com.tngtech.archunit.core.domain.JavaClass.Predicates.resideInAPackage;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.classes;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.noClasses;
import static com.tngtech.archunit.library.GeneralCodingRules.ACCESS_STANDARD_STREAMS;
import static com.tngtech.archunit.library.dependencies.SlicesRuleDefinition.slices;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.tngtech.archunit.core.domain.JavaClass;
import com.tngtech.archunit.core.domain.JavaClasses;
import com.tngtech.archunit.core.importer.ClassFileImporter;
import com.tngtech.archunit.core.importer.ImportOption;
import com.tngtech.archunit.library.dependencies.SliceAssignment;
import com.tngtech.archunit.library.dependencies.SliceIdentifier;
import java.lang.foreign.Linker;
import java.lang.foreign.SymbolLookup;
import java.util.Arrays;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.parallelcomp.api.backend.TensorOps;
import org.parallelcomp.engine.Engine;
import org.parallelcomp.engine.PreparedContext;

/** The module table of docs/architecture.md and the rules around it. */
class ArchitectureTest {
  private static final JavaClasses ALL =
      new ClassFileImporter()
          .withImportOption(new ImportOption.DoNotIncludeTests())
          .importPackages("org.parallelcomp")
          .that(not(resideInAPackage("org.parallelcomp.it..")));

  private static final String SIMD = "org.parallelcomp.backend.cpu.vector.simd..";
  private static final String CUDA_FFI = "org.parallelcomp.backend.cuda.ffi..";
  private static final String CUDA_BINDINGS = "org.parallelcomp.backend.cuda.bindings..";
  private static final String ONNX_RUNTIME = "org.parallelcomp.backend.onnx.runtime..";
  private static final String[] EVERYWHERE = {"java..", "org.jspecify.annotations.."};

  /**
   * The modules, what each may see beside itself and Java, and how many classes it has at least.
   */
  private enum Module {
    API("org.parallelcomp.api..", 50),
    CORE_POLICIES("org.parallelcomp.core.policies..", 25, "org.parallelcomp.api.."),
    BACKEND_HOST(
        "org.parallelcomp.backend.host..",
        8,
        "org.parallelcomp.api..",
        // How much memory there is.
        "com.sun.management.."),
    BACKEND_CPU_VECTOR(
        "org.parallelcomp.backend.cpu.vector..",
        35,
        "org.parallelcomp.api..",
        "org.parallelcomp.backend.host..",
        "jdk.incubator.vector.."),
    BACKEND_CUDA_FFM("org.parallelcomp.backend.cuda..", 20, "org.parallelcomp.api.."),
    BACKEND_ONNX(
        "org.parallelcomp.backend.onnx..",
        20,
        "org.parallelcomp.api..",
        "org.parallelcomp.backend.host.."),
    ENGINE(
        "org.parallelcomp.engine..",
        80,
        "org.parallelcomp.api..",
        "com.google.inject..",
        "jakarta.inject..",
        "com.fasterxml.jackson..",
        "ai.djl..",
        "com.hubspot.jinjava..",
        "jdk.jfr.."),
    EVAL(
        "org.parallelcomp.eval..",
        25,
        "org.parallelcomp.api..",
        "org.parallelcomp.engine",
        "org.parallelcomp.report..",
        "com.fasterxml.jackson..",
        "org.knowm.xchart.."),
    REPORT(
        "org.parallelcomp.report..",
        10,
        "org.parallelcomp.api..",
        "org.parallelcomp.engine",
        "com.samskivert.mustache.."),
    CLI(
        "org.parallelcomp.cli..",
        25,
        "org.parallelcomp.api..",
        "org.parallelcomp.engine",
        "org.parallelcomp.eval..",
        "org.parallelcomp.report..",
        "org.parallelcomp.models..",
        "picocli..",
        "com.fasterxml.jackson..",
        "com.sun.management.."),
    MODELS("org.parallelcomp.models..", 3),
    CONFORMANCE(
        "org.parallelcomp.conformance..",
        25,
        "org.parallelcomp.api..",
        "org.junit.jupiter.api..",
        // The kit as a program.
        "org.junit.platform..",
        "org.opentest4j..",
        "org.apiguardian..");

    private final String packages;
    private final int leastClasses;
    private final String[] allowed;

    Module(String packages, int leastClasses, String... others) {
      this.packages = packages;
      this.leastClasses = leastClasses;
      this.allowed =
          Stream.of(Stream.of(packages), Stream.of(EVERYWHERE), Stream.of(others))
              .flatMap(names -> names)
              .toArray(String[]::new);
    }

    JavaClasses classes() {
      return ALL.that(resideInAPackage(packages));
    }
  }

  /** Rules about classes that were not read would all hold. */
  @ParameterizedTest
  @EnumSource
  void enoughClassesWereSeen(Module module) {
    int seen = module.classes().size();
    assertTrue(seen >= module.leastClasses, () -> module + " has " + seen + " classes only");
  }

  @Test
  void everyClassBelongsToAModule() {
    Set<String> strangers =
        ALL.stream()
            .filter(
                type ->
                    Arrays.stream(Module.values())
                        .noneMatch(module -> resideInAPackage(module.packages).test(type)))
            .map(JavaClass::getName)
            .collect(Collectors.toCollection(TreeSet::new));
    assertEquals(Set.of(), strangers, "classes of no module of the table");
  }

  @ParameterizedTest
  @EnumSource
  void aModuleSeesWhatTheTableAllows(Module module) {
    classes()
        .that()
        .resideInAPackage(module.packages)
        .should()
        .onlyDependOnClassesThat()
        .resideInAnyPackage(module.allowed)
        .because("the module table says what each module may require")
        .check(ALL);
  }

  @Test
  void policiesNeverSeeABackend() {
    noClasses()
        .that()
        .resideInAPackage(Module.CORE_POLICIES.packages)
        .should()
        .dependOnClassesThat(
            resideInAPackage("org.parallelcomp.api.backend..")
                .and(not(belongToAnyOf(TensorOps.class))))
        .because("policies are written once, against the tensor operations alone")
        .check(ALL);
  }

  @ParameterizedTest
  @EnumSource(names = {"BACKEND_HOST", "BACKEND_CPU_VECTOR", "BACKEND_CUDA_FFM", "BACKEND_ONNX"})
  void backendsNeverSeeAPolicy(Module module) {
    noClasses()
        .that()
        .resideInAPackage(module.packages)
        .should()
        .dependOnClassesThat()
        .resideInAPackage("org.parallelcomp.api.policy..")
        .because("a backend computes what it is told; what is kept is not its business")
        .check(ALL);
  }

  @Test
  void theOracleNeverSeesAPolicy() {
    noClasses()
        .that()
        .resideInAPackage("org.parallelcomp.conformance.reference..")
        .should()
        .dependOnClassesThat()
        .resideInAPackage("org.parallelcomp.api.policy..")
        .because("it is a backend; only the kit around it speaks of policies too")
        .check(ALL);
  }

  @Test
  void noTensorTypeInTheCommand() {
    noClasses()
        .that()
        .resideInAnyPackage(Module.CLI.packages, Module.REPORT.packages)
        .should()
        .dependOnClassesThat()
        .resideInAnyPackage("org.parallelcomp.api.tensor..", "org.parallelcomp.api.cache..")
        .because("the command and its page speak of texts, plans and results only")
        .check(ALL);
  }

  @Test
  void theVectorApiStaysInTheKernels() {
    noClasses()
        .that()
        .resideOutsideOfPackage(SIMD)
        .should()
        .dependOnClassesThat()
        .resideInAPackage("jdk.incubator..")
        .because("the provider must load and say what is missing where the incubator is off")
        .check(ALL);
  }

  @ParameterizedTest
  @EnumSource(
      names = {"BACKEND_HOST", "BACKEND_CPU_VECTOR", "BACKEND_CUDA_FFM", "BACKEND_ONNX"},
      mode = EnumSource.Mode.EXCLUDE)
  void onlyBackendsHaveForeignMemory(Module module) {
    noClasses()
        .that()
        .resideInAPackage(module.packages)
        .should()
        .dependOnClassesThat()
        .resideInAPackage("java.lang.foreign..")
        .because("storage belongs to the backends; to all others a tensor is opaque")
        .check(ALL);
  }

  @Test
  void foreignFunctionsAreCalledInOnePlaceOfABackend() {
    noClasses()
        .that()
        .resideOutsideOfPackages(CUDA_FFI, CUDA_BINDINGS, ONNX_RUNTIME)
        .should()
        .dependOnClassesThat(belongToAnyOf(Linker.class, SymbolLookup.class))
        .because("native code is bound in one place, and nothing native loads before a probe")
        .check(ALL);
  }

  @Test
  void onlyOwnersOfNativeThingsSeeTheBindings() {
    noClasses()
        .that()
        .resideOutsideOfPackages(CUDA_FFI, CUDA_BINDINGS)
        .should()
        .dependOnClassesThat()
        .resideInAPackage(CUDA_BINDINGS)
        .because("every status is checked, and every handle has an owner")
        .check(ALL);
  }

  @Test
  void guiceStaysInTheWiring() {
    noClasses()
        .that()
        .resideOutsideOfPackage("org.parallelcomp.engine.wire..")
        .should()
        .dependOnClassesThat()
        .resideInAnyPackage("com.google.inject..", "jakarta.inject..", "javax.inject..")
        .because("every other class is made by a constructor that anybody can call")
        .check(ALL);
  }

  @Test
  void onlyTheCommandPrints() {
    noClasses()
        .that()
        // What jextract writes can trace its calls, if a property says so.
        .resideOutsideOfPackages(Module.CLI.packages, CUDA_BINDINGS)
        .should(ACCESS_STANDARD_STREAMS)
        .because("a library stays silent")
        .check(ALL);
  }

  @Test
  void onlyTheCommandBindsLogging() {
    noClasses()
        .that()
        .resideOutsideOfPackage(Module.CLI.packages)
        .should()
        .dependOnClassesThat()
        .resideInAnyPackage("java.util.logging..", "org.slf4j..", "org.apache.logging..")
        .because("libraries log by System.Logger, which whoever embeds them can bind")
        .check(ALL);
  }

  @ParameterizedTest
  @EnumSource
  void packagesHaveNoCycles(Module module) {
    slices()
        .assignedFrom(packagesOf(module))
        .should()
        .beFreeOfCycles()
        .because("a package must be readable without those that stand on it")
        .check(ALL);
  }

  /**
   * A slice for each package of a module, and one for the engine's entry points: they live beside
   * the records that callers see, which the packages below speak in too.
   */
  private static SliceAssignment packagesOf(Module module) {
    return new SliceAssignment() {
      @Override
      public SliceIdentifier getIdentifierOf(JavaClass type) {
        if (!resideInAPackage(module.packages).test(type)) {
          return SliceIdentifier.ignore();
        }
        return type.isEquivalentTo(Engine.class) || type.isEquivalentTo(PreparedContext.class)
            ? SliceIdentifier.of(Engine.class.getName())
            : SliceIdentifier.of(type.getPackageName());
      }

      @Override
      public String getDescription() {
        return "packages of " + module;
      }
    };
  }
}
