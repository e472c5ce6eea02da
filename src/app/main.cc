// The `clew` program: finds the subcommand and runs it.
int main() { return 0; }
