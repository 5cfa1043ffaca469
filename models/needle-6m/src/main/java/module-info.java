/** The bundled model needle-6m, brought from the jar to a file. */
module org.parallelcomp.models.needle {
  requires static org.jspecify;

  exports org.parallelcomp.models.needle6m;
}
