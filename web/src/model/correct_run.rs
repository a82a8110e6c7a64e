//! The same run with all protections, to compare its files with. It is simulated in slices.

use leasehold_sim::{Run, World};

/// The maximum number of steps. Longer runs are compared up to there.
const STEPS_MAX: u32 = 200_000;

/// The number of steps between two checks of the remaining time.
const STEPS_PER_CHECK: u32 = 50;

#[derive(Default)]
pub(crate) struct CorrectRun {
    /// The world of the last run that was asked for.
    world: Option<Box<World>>,
}

impl CorrectRun {
    /// Simulates a slice of the correct counterpart of a run: while `has_time` returns true, but at
    /// least a few steps. Returns whether the simulation has been completed now.
    pub(crate) fn simulate_while(&mut self, run: &Run, has_time: &mut dyn FnMut() -> bool) -> bool {
        if !self.is_counterpart_of(run) {
            let mut correct = run.clone();
            correct.without.clear();
            self.world = Some(Box::new(World::new(correct)));
        }
        let Some(world) = self.world.as_mut().filter(|world| !is_complete(world)) else {
            return false;
        };
        let mut trace = Vec::new();
        loop {
            for _ in 0..STEPS_PER_CHECK {
                trace.clear();
                world.step(&mut trace);
            }
            if is_complete(world) || !has_time() {
                return is_complete(world);
            }
        }
    }

    /// Returns the final world, once the counterpart of this run has been simulated.
    pub(crate) fn world(&self, run: &Run) -> Option<&World> {
        let world = self.world.as_deref().filter(|world| is_complete(world))?;
        self.is_counterpart_of(run).then_some(world)
    }

    fn is_counterpart_of(&self, run: &Run) -> bool {
        let Some(correct) = self.world.as_ref().map(|world| world.run()) else { return false };
        correct.seed == run.seed
            && correct.interventions == run.interventions
            && correct.config == run.config
    }
}

fn is_complete(world: &World) -> bool {
    world.is_over() || world.steps() >= STEPS_MAX
}
