/**
 * Cases generated from seeds, scores, result files that hold what repeats them, and pictures of
 * them.
 */
module org.parallelcomp.eval {
  requires transitive org.parallelcomp.engine;
  requires transitive org.parallelcomp.report;
  requires com.fasterxml.jackson.annotation;
  requires com.fasterxml.jackson.databind;
  requires java.desktop;
  requires org.knowm.xchart;
  requires static org.jspecify;

  exports org.parallelcomp.eval;
  exports org.parallelcomp.eval.cases;
  exports org.parallelcomp.eval.plot;

  // Result files are records as JSON.
  opens org.parallelcomp.eval to
      com.fasterxml.jackson.databind;
}
