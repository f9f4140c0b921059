// Calls what each part of a page returned to be called at its end.
export function stopAll(stops) {
  for (const stop of stops) stop();
}
