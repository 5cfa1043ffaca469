/** What was kept for an answer and where its attention went, as numbers and as one page. */
module org.parallelcomp.report {
  requires transitive org.parallelcomp.engine;
  requires com.samskivert.jmustache;
  requires static org.jspecify;

  exports org.parallelcomp.report;

  // The records that the page's template reads.
  opens org.parallelcomp.report to
      com.samskivert.jmustache;
}
