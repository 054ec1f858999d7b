# What a board runs first; on a computer: python3 boot.py. It starts main.py under the guard, which takes a new version
# back that does not hold. Never replaced over the air. run(trial_s=...) gives a new version more time than 300 s.
import pepeunit_guard

pepeunit_guard.run()
