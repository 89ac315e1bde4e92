"""English sentences: some to measure on, others to calibrate with."""

# Thirty-two pairs that say nearly the same: 2 i and 2 i + 1.
SENTENCES = """\
The weather is lovely today.
It's so sunny outside!
He drove to the stadium.
They took the car to the football ground.
A man is playing a guitar on the stage.
Someone performs a song with his instrument before an audience.
The central bank raised interest rates by half a percent.
Borrowing money became dearer after the decision of the reserve board.
How do I reset the password of my account?
I forgot my login and want to choose a new one.
Photosynthesis turns light, water and carbon dioxide into sugar.
Green plants make their own food from sunshine and air.
The train to Berlin leaves from platform nine at 7:45.
Our railway connection departs early in the morning.
She was awarded the Nobel Prize in Chemistry in 1911.
The scientist received the highest honour of her field.
Boil the pasta for ten minutes and drain it well.
Cook the spaghetti until soft, then pour away the water.
A small dog chased the ball across the garden.
The puppy ran after its toy on the lawn.
Water freezes at zero degrees Celsius.
Ice forms when it gets cold enough.
The defendant was found guilty of fraud.
A jury convicted the accused of cheating investors.
Neural networks are trained by gradient descent.
Deep learning models adjust their weights with backpropagation.
My grandmother knits warm sweaters every winter.
Granny makes woollen pullovers when it is cold.
The museum shows paintings by Rembrandt and Vermeer.
Dutch masters hang in the halls of the gallery.
The patient complained of a severe headache and fever.
He told the doctor that his skull hurt and that he felt hot.
An earthquake of magnitude 6.8 struck the coast of Chile.
Strong tremors shook the South American shore.
Solar panels on the roof cut our electricity bill.
We pay less for power since we installed photovoltaics.
Mount Everest is the highest mountain on Earth.
No other peak in the world rises as far above the sea.
The goalkeeper saved a penalty in the final minute.
At the very end the keeper stopped a spot kick.
Whales are mammals although they live in the ocean.
Dolphins and whales breathe air and nurse their young at sea.
Please turn off your phones before the film begins.
Mobile devices must be silent in the cinema.
The recipe calls for two eggs, flour and a cup of milk.
You need these ingredients to bake the pancakes.
The startup laid off a third of its staff.
Many employees of the young company lost their jobs.
Gold is one of the densest metals.
This precious element weighs a lot for its size.
The Roman Empire fell in the fifth century.
Ancient Rome collapsed some fifteen hundred years ago.
The children built a castle of sand on the beach.
Kids were playing with buckets and spades by the sea.
A new vaccine protects against the flu.
An injection guards people from influenza.
The bridge is closed to lorries for repairs.
Heavy trucks cannot cross the river while workers mend the road.
Her novel tells of three sisters in Victorian London.
The book is about siblings in nineteenth-century England.
The printer is out of paper again.
Somebody has to refill the sheets in the office machine.
Bees dance to tell each other where the flowers are.
Honey-making insects show the way to nectar by their movements.
""".splitlines()

# Other sentences, on which statistics for a compression may be gathered.
CALIBRATION = """\
Where can I buy a ticket for the concert on Saturday?
The river flooded several villages after a week of rain.
Mercury is the planet closest to the sun.
You should write unit tests before you refactor old code.
The senator refused to comment on the new tax law.
He plays chess in the park every Sunday afternoon.
Tomatoes grow best in a warm and sunny place.
The company reported a profit of 3.2 million dollars.
What is the capital of Australia?
The violin was made in Cremona around 1715.
She fell asleep on the bus and missed her stop.
Penguins cannot fly, but they are excellent swimmers.
Please send me the signed contract by Friday.
The old lighthouse was painted red and white.
Scientists found traces of water on the moon.
My laptop does not connect to the wireless network.
Add a pinch of salt and stir the soup slowly.
The team won the championship for the third time.
An electron carries a negative charge.
The hotel room was clean, but the breakfast was poor.
Shakespeare wrote Hamlet at the turn of the century.
Traffic was stopped by an accident on the motorway.
A triangle has three sides and three angles.
The nurse gave the boy a glass of water.
Is it safe to drink tap water in Mexico?
The forest fire spread quickly because of the wind.
They have been married for more than forty years.
The algorithm sorts a list of numbers in linear time.
Coffee is grown in Brazil, Vietnam and Ethiopia.
The police are looking for a witness of the robbery.
He repaired the bicycle with a few simple tools.
The treaty was signed in Paris at the end of the war.
Snow covered the roofs of the village.
Which exercises are good for lower back pain?
The spider waited in the middle of its web.
Our flight was delayed by four hours.
The museum of natural history is free on Mondays.
Oil prices dropped to their lowest level in a decade.
She teaches mathematics at a school in the suburbs.
The judge dismissed the case for lack of evidence.
Sharks have lived in the oceans for 400 million years.
I would like to cancel my subscription, please.
The carpenter measured the plank twice.
Antibiotics do not help against viruses.
The band played until two o'clock in the morning.
Rice is the most important food in much of Asia.
A black hole bends the light that passes near it.
The mayor opened the new library yesterday.
Why do cats purr when they are stroked?
The engine makes a strange noise at high speed.
They painted the kitchen in a light shade of yellow.
The election will be held on the first Tuesday of November.
Copper conducts heat and electricity very well.
He apologized for arriving late to the meeting.
The desert is hot by day and cold at night.
This dictionary contains more than 80,000 words.
The farmer sold his cows and bought a tractor.
A volcano in Iceland erupted last night.
The actress thanked her parents and the director.
Use a strong password and do not share it with anyone.
The painter mixed blue and yellow to get green.
Inflation fell for the fifth month in a row.
The baby laughed when it saw its own reflection.
The satellite takes a picture of the city every day.
""".splitlines()
